/* What libnvidia-ml.so.1 exports, as far as the agent and its guard use it, over boards that live in a shared file.

   FAKE_NVML_STATE names the file, of `struct state` as conftest.py writes it; FAKE_NVML_LOG takes a line a call. Several
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
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { BOARDS = 16, RULES = 32, CLIENTS = 64, PIDS = 8, INSTANCES = 7, CLOCKS = 15 };
enum {
  SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, UNKNOWN = 999
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

static int injected(const char *function, int64_t board) {
  for (int i = 0; i < RULES; i++) {
    struct rule *rule = &state->rules[i];
    if (!rule->times || strcmp(rule->function, function) || (rule->board >= 0 && rule->board != board)) continue;
    if (rule->times > 0) rule->times--;
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
  note("nvmlShutdown", NULL, 0, SUCCESS);
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
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
  }
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) { return text(version, size, "550.00"); }
int nvmlSystemGetNVMLVersion(char *version, unsigned size) { return text(version, size, "12.550.00"); }

/* Indices are of those present, in the order of their PCI addresses: they shift when a board goes. */
static struct board *at_index(unsigned index) {
  for (int64_t i = 0; i < state->boards; i++)
    if (state->board[i].present && !index--) return &state->board[i];
  return NULL;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  if (!state || !initialised) return UNINITIALIZED;
  int code = injected("nvmlDeviceGetCount_v2", -1);
  if (code) return code;
  for (*count = 0; at_index(*count); ++*count) continue;
  return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
  if (!state || !initialised) return UNINITIALIZED;
  struct board *found = at_index(index);
  if (!found) return INVALID_ARGUMENT;
  int code = injected("nvmlDeviceGetHandleByIndex_v2", found - state->board);
  if (code) return code;
  if (found->lost) return GPU_IS_LOST;
  *handle = found;
  return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
  if (!state || !initialised) return UNINITIALIZED;
  for (int64_t i = 0; i < state->boards; i++) {
    if (strcmp(state->board[i].uuid, uuid) || !state->board[i].present) continue;
    if (state->board[i].lost) return GPU_IS_LOST;
    *handle = &state->board[i];
    return SUCCESS;
  }
  return NOT_FOUND;
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
  mhz[0] = 2619;
  return SUCCESS;
}

int nvmlDeviceGetSupportedGraphicsClocks(void *handle, unsigned memory_mhz, unsigned *count, unsigned *mhz) {
  BOARD(handle);
  (void)memory_mhz;
  if (!b->clocks) return NOT_SUPPORTED;
  if (*count < CLOCKS || !mhz) return *count = CLOCKS, INSUFFICIENT_SIZE;
  *count = CLOCKS;
  for (unsigned i = 0; i < CLOCKS; i++) mhz[i] = 1980 - 120 * i;
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
