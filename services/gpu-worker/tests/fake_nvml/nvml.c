/* What libnvidia-ml.so.1 exports, as far as the agent and its guard use it, over boards that live in a shared file.

   FAKE_NVML_STATE names the file, of `struct state` as driver.py writes it; FAKE_NVML_LOG takes a line a call. Several
   processes map the same file, so that a limit outlives whoever set it. Nothing in it is locked: a killed process
   leaves nothing held. The rules are those of a driver: mW and mJ, nothing clamped, no limit without permission.
   Source of signatures and codes: https://docs.nvidia.com/deploy/nvml-api/ */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BOARDS = 16, RULES = 32, CLIENTS = 64, PIDS = 8, INSTANCES = 7, CLOCKS = 15, TOP_MHZ = 1980, MEMORY_MHZ = 2619 };
enum {
  SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, VERSION_MISMATCH = 25, UNKNOWN = 999
};
enum { COUNTS, FROZEN, ZERO, UNCOUNTED };

typedef _Atomic int64_t number;

struct board {
  char uuid[96], name[96], pci[32];
  number present, lost, takes_limits, min_mw, max_mw, default_mw, limit_mw, limited_mw, step_mw, tells_power, load_permille,
      idle_mw, counter, energy_mj, energy_at_ns, persistent, clocks, locked_low_mhz, locked_high_mhz, mig, instances,
      virtualization;
  number pids[PIDS];
};

struct rule {
  char function[64];
  number board, code, times, delay_us;
};

struct state {
  number boards, init_code, permitted, set_delay_us;
  number clients[CLIENTS];
  struct rule rules[RULES];
  struct board board[BOARDS];
};

static struct state *state;
static int log_file = -1;
static int initialised;
static char instance_handles[BOARDS][INSTANCES];

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void pause_us(int64_t us) {
  struct timespec t = {us / 1000000, us % 1000000 * 1000};
  while (us > 0 && nanosleep(&t, &t) == -1 && errno == EINTR) continue;
}

static void note(const char *function, const char *uuid, int64_t argument, int code) {
  char line[256];
  int size = snprintf(line, sizeof line, "%d %lld %s %s %lld %d\n", getpid(), (long long)now_ns(), function,
                      uuid ? uuid : "-", (long long)argument, code);
  if (log_file >= 0 && write(log_file, line, (size_t)size) != size) abort();
}

/* For a process that has more than one driver in its life: a test. */
void fake_nvml_open(const char *state_path, const char *log_path) {
  int file = open(state_path, O_RDWR | O_CLOEXEC);
  if (state) munmap(state, sizeof *state);
  if (log_file >= 0) close(log_file);
  state = file < 0 ? NULL : mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (state == MAP_FAILED) state = NULL;
  if (file >= 0) close(file);
  log_file = log_path ? open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  initialised = 0;
}

__attribute__((constructor)) static void loaded(void) {
  const char *path = getenv("FAKE_NVML_STATE");
  if (path) fake_nvml_open(path, getenv("FAKE_NVML_LOG"));
}

static int alive(void) {
  int count = 0;
  for (int i = 0; i < CLIENTS; i++) {
    pid_t pid = (pid_t)state->clients[i];
    if (pid && kill(pid, 0) == -1 && errno == ESRCH) state->clients[i] = pid = 0;
    count += pid != 0;
  }
  return count;
}

/* Without persistence a board forgets what it was told when its last client has gone. */
static void last_client_gone(void) {
  for (int64_t i = 0; i < state->boards; i++) {
    struct board *board = &state->board[i];
    if (board->persistent) continue;
    board->limit_mw = board->default_mw;
    board->locked_low_mhz = board->locked_high_mhz = 0;
  }
}

/* One of the times a rule has left: two processes may not both take the last, nor make it "for ever". */
static int taken(struct rule *rule) {
  int64_t left = rule->times;
  while (left > 0 && !atomic_compare_exchange_weak(&rule->times, &left, left - 1)) continue;
  return left != 0;
}

static int injected(const char *function, int64_t board) {
  for (int i = 0; i < RULES; i++) {
    struct rule *rule = &state->rules[i];
    if (!rule->times || strcmp(rule->function, function) || (rule->board >= 0 && rule->board != board)) continue;
    if (!taken(rule)) continue;
    pause_us(rule->delay_us);
    if (rule->code) return (int)rule->code;
  }
  return SUCCESS;
}

static int64_t enforced_mw(struct board *b) { return b->limit_mw < b->limited_mw ? b->limit_mw : b->limited_mw; }

static int64_t draw_mw(struct board *b) {
  int64_t full = enforced_mw(b) * 95 / 100;
  return b->idle_mw + (full > b->idle_mw ? (full - b->idle_mw) * b->load_permille / 1000 : 0);
}

static void count_energy(struct board *b) {
  int64_t now = now_ns(), before = atomic_exchange(&b->energy_at_ns, now);
  if (b->counter == COUNTS && now > before) b->energy_mj += draw_mw(b) * ((now - before) / 1000) / 1000000;
}

/* The board of a handle, or a return code; an instance's is its parent where `instances_too`. */
static int of_handle(const char *function, void *handle, struct board **found) {
  if (!state || !initialised) return UNINITIALIZED;
  for (int64_t i = 0; i < state->boards; i++) {
    if (handle != &state->board[i]) continue;
    int code = injected(function, i);
    if (code) return code;
    if (!state->board[i].present || state->board[i].lost) return GPU_IS_LOST;
    *found = &state->board[i];
    return SUCCESS;
  }
  return (char *)handle >= instance_handles[0] && (char *)handle <= &instance_handles[BOARDS - 1][INSTANCES - 1]
             ? NOT_SUPPORTED
             : INVALID_ARGUMENT;
}

#define DRIVER()                                       \
  if (!state || !initialised) return UNINITIALIZED;    \
  int code = injected(__func__, -1);                   \
  if (code) return code

#define BOARD(handle)                                  \
  struct board *b;                                     \
  int code = of_handle(__func__, handle, &b);          \
  if (code) return code

static int text(char *to, unsigned size, const char *from) {
  if (strlen(from) >= size) return INSUFFICIENT_SIZE;
  strcpy(to, from);
  return SUCCESS;
}

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  if (!state) return DRIVER_NOT_LOADED;
  int code = state->init_code ? (int)state->init_code : injected("nvmlInit", -1);
  note("nvmlInit", NULL, 0, code);
  if (code) return code;
  if (!initialised++) {
    if (!alive()) last_client_gone();
    for (int i = 0; i < CLIENTS; i++) {
      int64_t nobody = 0;
      if (atomic_compare_exchange_strong(&state->clients[i], &nobody, getpid())) break;
    }
  }
  return SUCCESS;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
  if (!state || !initialised) return UNINITIALIZED;
  int code = injected(__func__, -1);
  note(__func__, NULL, 0, code);
  if (code) return code;
  if (--initialised) return SUCCESS;
  for (int i = 0; i < CLIENTS; i++)
    if (state->clients[i] == getpid()) state->clients[i] = 0;
  if (!alive()) last_client_gone();
  return SUCCESS;
}

const char *nvmlErrorString(int code) {
  switch (code) {
    case SUCCESS: return "Success";
    case UNINITIALIZED: return "Uninitialized";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case NOT_FOUND: return "Not Found";
    case INSUFFICIENT_SIZE: return "Insufficient Size";
    case VERSION_MISMATCH: return "Argument version mismatch";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
  }
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) {
  DRIVER();
  return text(version, size, "550.00");
}

int nvmlSystemGetNVMLVersion(char *version, unsigned size) {
  DRIVER();
  return text(version, size, "12.550.00");
}

/* Indices are of those present, in the order of their PCI addresses: they shift when a board goes. */
static struct board *at_index(unsigned index) {
  for (int64_t i = 0; i < state->boards; i++)
    if (state->board[i].present && !index--) return &state->board[i];
  return NULL;
}

static int at_board(const char *function, int64_t i, void **handle) {
  int code = injected(function, i);
  if (!code && state->board[i].lost) code = GPU_IS_LOST;
  if (!code) *handle = &state->board[i];
  return code;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  DRIVER();
  for (*count = 0; at_index(*count); ++*count) continue;
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
  if (!state || !initialised) return UNINITIALIZED;
  struct board *found = at_index(index);
  return found ? at_board(__func__, found - state->board, handle) : INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
  if (!state || !initialised) return UNINITIALIZED;
  for (int64_t i = 0; i < state->boards; i++)
    if (state->board[i].present && !strcmp(state->board[i].uuid, uuid)) return at_board(__func__, i, handle);
  return NOT_FOUND;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **handle) {
  if (!state || !initialised) return UNINITIALIZED;
  for (int64_t i = 0; i < state->boards; i++)
    if (state->board[i].present && !strcasecmp(state->board[i].pci, pci)) return at_board(__func__, i, handle);
  return NOT_FOUND;
}

int nvmlDeviceGetIndex(void *handle, unsigned *index) {
  BOARD(handle);
  for (*index = 0; at_index(*index); ++*index)
    if (at_index(*index) == b) return SUCCESS;
  return GPU_IS_LOST; /* taken out just now */
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) {
  for (int i = 0; i < BOARDS; i++)
    for (int k = 0; k < INSTANCES; k++)
      if (handle == &instance_handles[i][k]) {
        char made[96];
        snprintf(made, sizeof made, "MIG-%d-%d-%.60s", i, k, state->board[i].uuid);
        return text(uuid, size, made);
      }
  BOARD(handle);
  return text(uuid, size, b->uuid);
}

int nvmlDeviceGetName(void *handle, char *name, unsigned size) {
  BOARD(handle);
  return text(name, size, b->name);
}

struct pci {
  char legacy_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char id[32];
};

int nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci) {
  BOARD(handle);
  memset(pci, 0, sizeof *pci);
  return text(pci->id, sizeof pci->id, b->pci);
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *mw) {
  BOARD(handle);
  if (!b->tells_power) return NOT_SUPPORTED;
  *mw = (unsigned)draw_mw(b);
  return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *mj) {
  BOARD(handle);
  if (b->counter == UNCOUNTED) return NOT_SUPPORTED;
  count_energy(b);
  *mj = b->counter == ZERO ? 0 : (unsigned long long)b->energy_mj;
  return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimit(void *handle, unsigned *mw) {
  BOARD(handle);
  if (!b->takes_limits) return NOT_SUPPORTED;
  *mw = (unsigned)b->limit_mw;
  return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimitConstraints(void *handle, unsigned *min_mw, unsigned *max_mw) {
  BOARD(handle);
  if (!b->takes_limits) return NOT_SUPPORTED;
  *min_mw = (unsigned)b->min_mw;
  *max_mw = (unsigned)b->max_mw;
  return SUCCESS;
}

int nvmlDeviceGetPowerManagementDefaultLimit(void *handle, unsigned *mw) {
  BOARD(handle);
  if (!b->takes_limits) return NOT_SUPPORTED;
  *mw = (unsigned)b->default_mw;
  return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *mw) {
  BOARD(handle);
  *mw = (unsigned)enforced_mw(b);
  return SUCCESS;
}

static int set_limit(struct board *b, unsigned mw) {
  pause_us(state->set_delay_us);
  if (!b->takes_limits) return NOT_SUPPORTED;
  if (!state->permitted) return NO_PERMISSION;
  if (mw < b->min_mw || mw > b->max_mw) return INVALID_ARGUMENT;
  count_energy(b);
  b->limit_mw = b->step_mw ? mw / b->step_mw * b->step_mw : mw;
  return SUCCESS;
}

int nvmlDeviceSetPowerManagementLimit(void *handle, unsigned mw) {
  struct board *b = NULL;
  int code = of_handle(__func__, handle, &b);
  if (!code) code = set_limit(b, mw);
  note(__func__, b ? b->uuid : NULL, mw, code);
  return code;
}

struct power_value {
  unsigned version, scope, mw;
};

int nvmlDeviceSetPowerManagementLimit_v2(void *handle, struct power_value *value) {
  struct board *b = NULL;
  int code = of_handle(__func__, handle, &b);
  if (!code) code = set_limit(b, value->mw);
  note(__func__, b ? b->uuid : NULL, value->mw, code);
  return code;
}

int nvmlDeviceGetSupportedMemoryClocks(void *handle, unsigned *count, unsigned *mhz) {
  BOARD(handle);
  if (!b->clocks) return NOT_SUPPORTED;
  if (*count < 1 || !mhz) return *count = 1, INSUFFICIENT_SIZE;
  *count = 1;
  mhz[0] = MEMORY_MHZ;
  return SUCCESS;
}

int nvmlDeviceGetSupportedGraphicsClocks(void *handle, unsigned memory_mhz, unsigned *count, unsigned *mhz) {
  BOARD(handle);
  (void)memory_mhz;
  if (!b->clocks) return NOT_SUPPORTED;
  if (*count < CLOCKS || !mhz) return *count = CLOCKS, INSUFFICIENT_SIZE;
  *count = CLOCKS;
  for (unsigned i = 0; i < CLOCKS; i++) mhz[i] = TOP_MHZ - 120 * i;
  return SUCCESS;
}

static int lock_clocks(struct board *b, unsigned low, unsigned high) {
  pause_us(state->set_delay_us);
  if (!b->clocks) return NOT_SUPPORTED;
  if (!state->permitted) return NO_PERMISSION;
  if (low > high) return INVALID_ARGUMENT;
  b->locked_low_mhz = low;
  b->locked_high_mhz = high;
  return SUCCESS;
}

int nvmlDeviceSetGpuLockedClocks(void *handle, unsigned low, unsigned high) {
  struct board *b = NULL;
  int code = of_handle(__func__, handle, &b);
  if (!code) code = lock_clocks(b, low, high);
  note(__func__, b ? b->uuid : NULL, high, code);
  return code;
}

int nvmlDeviceResetGpuLockedClocks(void *handle) {
  struct board *b = NULL;
  int code = of_handle(__func__, handle, &b);
  if (!code) code = lock_clocks(b, 0, 0);
  note(__func__, b ? b->uuid : NULL, 0, code);
  return code;
}

enum { GRAPHICS, SM, MEMORY, VIDEO };

int nvmlDeviceGetMaxClockInfo(void *handle, unsigned kind, unsigned *mhz) {
  BOARD(handle);
  if (kind > VIDEO) return INVALID_ARGUMENT;
  if (!b->clocks) return NOT_SUPPORTED;
  *mhz = kind == MEMORY ? MEMORY_MHZ : TOP_MHZ;
  return SUCCESS;
}

int nvmlDeviceGetClockInfo(void *handle, unsigned kind, unsigned *mhz) {
  BOARD(handle);
  if (kind > VIDEO) return INVALID_ARGUMENT;
  if (!b->clocks) return NOT_SUPPORTED;
  unsigned locked = (unsigned)b->locked_high_mhz;
  *mhz = kind == MEMORY ? MEMORY_MHZ : locked && locked < TOP_MHZ ? locked : TOP_MHZ;
  return SUCCESS;
}

int nvmlDeviceSetPersistenceMode(void *handle, unsigned mode) {
  struct board *b = NULL;
  int code = of_handle(__func__, handle, &b);
  if (!code) pause_us(state->set_delay_us);
  if (!code && !state->permitted) code = NO_PERMISSION;
  if (!code && mode > 1) code = INVALID_ARGUMENT;
  if (!code) b->persistent = mode;
  note(__func__, b ? b->uuid : NULL, mode, code);
  return code;
}

int nvmlDeviceGetPersistenceMode(void *handle, unsigned *mode) {
  BOARD(handle);
  *mode = (unsigned)b->persistent;
  return SUCCESS;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
  BOARD(handle);
  if (b->mig < 0) return NOT_SUPPORTED;
  *current = *pending = (unsigned)b->mig;
  return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
  BOARD(handle);
  *count = b->mig == 1 ? INSTANCES : 0;
  return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **instance) {
  BOARD(handle);
  if (b->mig != 1 || index >= b->instances) return NOT_FOUND;
  *instance = &instance_handles[b - state->board][index];
  return SUCCESS;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *instance, void **handle) {
  for (int i = 0; i < BOARDS; i++)
    for (int k = 0; k < INSTANCES; k++)
      if (instance == &instance_handles[i][k]) return *handle = &state->board[i], SUCCESS;
  return INVALID_ARGUMENT;
}

int nvmlDeviceIsMigDeviceHandle(void *handle, unsigned *is_instance) {
  DRIVER();
  char *address = handle;
  *is_instance = address >= instance_handles[0] && address <= &instance_handles[BOARDS - 1][INSTANCES - 1];
  return SUCCESS;
}

int nvmlDeviceGetVirtualizationMode(void *handle, unsigned long long *mode) {
  BOARD(handle);
  *mode = (unsigned long long)b->virtualization;
  return SUCCESS;
}

struct memory {
  unsigned long long total, free, used;
};

int nvmlDeviceGetMemoryInfo(void *handle, struct memory *memory) {
  BOARD(handle);
  *memory = (struct memory){80ULL << 30, 72ULL << 30, 8ULL << 30};
  return SUCCESS;
}

struct memory_v2 {
  unsigned version;
  unsigned long long total, reserved, free, used;
};

int nvmlDeviceGetMemoryInfo_v2(void *handle, struct memory_v2 *memory) {
  BOARD(handle);
  if (memory->version != (sizeof *memory | 2 << 24)) return VERSION_MISMATCH;
  *memory = (struct memory_v2){memory->version, 80ULL << 30, 0, 72ULL << 30, 8ULL << 30};
  return SUCCESS;
}

struct process {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
};

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, struct process *processes) {
  BOARD(handle);
  unsigned there = 0;
  for (int i = 0; i < PIDS; i++) there += b->pids[i] != 0;
  if (there > *count || (there && !processes)) return *count = there, INSUFFICIENT_SIZE;
  *count = 0;
  for (int i = 0; i < PIDS; i++)
    if (b->pids[i]) processes[(*count)++] = (struct process){(unsigned)b->pids[i], 1ULL << 30, 0, 0};
  return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, struct process *processes) {
  return nvmlDeviceGetComputeRunningProcesses_v3(handle, count, processes);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, struct process *processes) {
  BOARD(handle);
  (void)processes;
  *count = 0;
  return SUCCESS;
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(void *handle, unsigned *count, struct process *processes) {
  return nvmlDeviceGetGraphicsRunningProcesses_v3(handle, count, processes);
}

int nvmlDeviceGetArchitecture(void *handle, unsigned *architecture) {
  BOARD(handle);
  *architecture = 9; /* Hopper, whatever the board's name is */
  return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
  BOARD(handle);
  *major = 9;
  *minor = 0;
  return SUCCESS;
}

struct utilization {
  unsigned gpu, memory;
};

int nvmlDeviceGetUtilizationRates(void *handle, struct utilization *percent) {
  BOARD(handle);
  if (b->mig == 1) return NOT_SUPPORTED;
  *percent = (struct utilization){(unsigned)(b->load_permille / 10), (unsigned)(b->load_permille / 20)};
  return SUCCESS;
}

enum { TOTAL_ENERGY = 83, AVERAGE_POWER = 185, INSTANT_POWER = 186 };
enum { UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3 };

struct field {
  uint32_t id, scope;
  int64_t at_us, latency_us;
  uint32_t type, code;
  union {
    unsigned mw;
    unsigned long long mj;
  } value;
};

/* The call succeeds though each of its fields may fail. */
int nvmlDeviceGetFieldValues(void *handle, int count, struct field *fields) {
  BOARD(handle);
  for (struct field *field = fields; field < fields + count; field++) {
    field->at_us = now_ns() / 1000;
    field->code = NOT_SUPPORTED;
    if (field->id == TOTAL_ENERGY) {
      field->type = UNSIGNED_LONG_LONG;
      field->code = (uint32_t)nvmlDeviceGetTotalEnergyConsumption(handle, &field->value.mj);
    } else if (field->id == AVERAGE_POWER || field->id == INSTANT_POWER) {
      field->type = UNSIGNED_INT;
      field->code = (uint32_t)nvmlDeviceGetPowerUsage(handle, &field->value.mw);
    }
  }
  return SUCCESS;
}
