"""The hooks of real frameworks on real torch: what they alone know reaches the agent, and each step is counted once.

Every script trains the same thing three times: with the callback given, with none given, and, unpaused, once more.
"""

import importlib.util
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from carbonshift.training.hooks.lightning import _remaining
from carbonshift.training.launch import training_environment
from carbonshift.training.leaving import LEFT_CODE
from carbonshift.training.page import (
    DEADLINE_MS,
    FINAL_STEP,
    LEAVE,
    MAY_LEAVE,
    RUN,
    STEP,
    TIER,
    USD_MICROS_PER_GPU_HOUR,
)

NINE = 1_795_510_800_000  # 2026-11-24T09:00Z, in milliseconds since 1970
SAID = 'job="mine", deadline="2026-11-24T09:00Z", usd_per_gpu_hour=2.5'

HUGGING_FACE = f"""
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed
import pickle, torch
from carbonshift.training.hooks.huggingface import callback

class Losses(TrainerCallback):
    def on_log(self, args, state, control, logs, **kwargs):
        if "loss" in logs:
            losses.append(logs["loss"])

def train(*callbacks):
    set_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2))
    rows = torch.randint(0, 32, (12, 8))
    arguments = TrainingArguments(
        output_dir=folder, num_train_epochs=2, per_device_train_batch_size=1, gradient_accumulation_steps=3,
        logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True)
    trainer = Trainer(
        model, arguments, train_dataset=[dict(input_ids=row, labels=row) for row in rows],
        callbacks=[Losses, *callbacks])
    trainer.train()
    assert [type(one).__name__ for one in trainer.callback_handler.callbacks].count("CarbonShift") == 1
    return model

trainings = [(train, lambda: pickle.loads(pickle.dumps(callback({SAID}))))]
"""

LIGHTNING = f"""
import lightning.pytorch, pytorch_lightning
import pickle, torch
from torch.utils.data import DataLoader, TensorDataset
from carbonshift.training.hooks.lightning import callback

def training(pl):
    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))

        def training_step(self, batch):
            loss = self.layer(batch[0]).square().mean()
            losses.append(loss.item())
            return loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters())

    def train(*callbacks):
        pl.seed_everything(0, verbose=False)
        module, data = Module(), TensorDataset(torch.randn(12, 4))
        trainer = pl.Trainer(
            max_epochs=2, accumulate_grad_batches=3, callbacks=list(callbacks), accelerator="cpu", logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder)
        trainer.fit(module, DataLoader(data, batch_size=1, shuffle=True))
        assert [type(one).__name__ for one in trainer.callbacks].count("CarbonShift") == 1
        assert pickle.loads(pickle.dumps(trainer.callbacks))
        return module

    return train, lambda: callback({SAID}, package=pl.__name__)

trainings = [training(lightning.pytorch), training(pytorch_lightning)]
"""

ACCELERATE = f"""
from accelerate import Accelerator
from accelerate.utils import set_seed
import torch
from carbonshift.training import session

def train(*_):
    set_seed(0)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=3)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
    loader = torch.utils.data.DataLoader(torch.randn(12, 4), batch_size=1, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, torch.optim.AdamW(model.parameters()), loader)
    accelerator.init_trackers("example", config={{"max_train_steps": 8, "learning_rate": 0.001}})
    for epoch in range(2):
        for batch in loader:
            with accelerator.accumulate(model):
                loss = model(batch).square().mean()
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
    accelerator.end_training()
    return accelerator.unwrap_model(model)

trainings = [(train, lambda: session({SAID}))]
"""

THREE_TIMES = """
def result(train, *callbacks):
    losses.clear()
    model = train(*callbacks)
    return [loss.hex() for loss in losses], [p.detach().numpy().tobytes() for p in model.parameters()]

for train, once in trainings:
    first, second, third = result(train, once()), result(train), result(train)
    print("same" if first == second == third and first[0] else "different")
"""


@pytest.mark.parametrize(
    ("package", "script", "trainings"),
    [("transformers", HUGGING_FACE, 1), ("lightning", LIGHTNING, 2), ("accelerate", ACCELERATE, 1)],
)
def test_it_knows_what_is_left_and_a_pause_changes_no_bit(package, script, trainings, agent, tmp_path):
    """Eight steps each time, of three batches. Lightning under both its names."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    head = f"losses, folder = [], {str(tmp_path)!r}\n"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", head + script + THREE_TIMES],
        env=training_environment(agent.path, environment, "other"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            agent.admit(target=3)
            words = agent.words
            for begin in range(0, 24 * trainings, 24):
                agent.release(begin + 3)
                agent.quiet(begin + 3)
                assert (agent.hello.job, words[FINAL_STEP], words[DEADLINE_MS]) == ("mine", begin + 8, NINE)
                assert words[USD_MICROS_PER_GPU_HOUR] == 2_500_000
                agent.release(begin + 10)
                agent.quiet(begin + 10)
                assert words[FINAL_STEP] == begin + 16
            agent.release(RUN)
            out, err = process.communicate(timeout=100)
        finally:
            process.kill()
    assert (process.returncode, out.split()[-trainings:]) == (0, ["same"] * trainings), err
    assert (words[STEP], words[FINAL_STEP]) == (24 * trainings, 24 * trainings)
    assert "carbonshift:" not in err


HUGGING_FACE_LEAVES = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments, set_seed
import torch
from carbonshift.training.hooks.huggingface import callback

set_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=2, attention_dropout=0.1))
rows = torch.randint(0, 32, (12, 8))
arguments = TrainingArguments(
    output_dir=folder, max_steps=8, per_device_train_batch_size=1, save_strategy="no", report_to=[], use_cpu=True,
    disable_tqdm=True)
trainer = Trainer(
    model, arguments, train_dataset=[dict(input_ids=row, labels=row) for row in rows],
    callbacks=[callback(leaves=True)])
trainer.train(resume_from_checkpoint=any(Path(folder).glob("checkpoint-*")))
"""

LIGHTNING_LEAVES = """
from pathlib import Path
import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset
from carbonshift.training.hooks.lightning import callback

class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch):
        return self.layer(batch[0]).square().mean()

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)}

pl.seed_everything(0, verbose=False)
model, data, path = Module(), TensorDataset(torch.ones(4, 4)), Path(folder, "left.ckpt")
trainer = pl.Trainer(
    max_epochs=2, callbacks=[callback(leaves_at=path)], accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder)
trainer.fit(model, DataLoader(data, batch_size=1), ckpt_path=path if path.exists() else None)
"""

DIGEST = """
import hashlib
print(hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.parameters())).hexdigest())
"""


@pytest.mark.parametrize(
    ("package", "script"),
    [
        ("transformers", HUGGING_FACE_LEAVES),
        pytest.param("lightning", LIGHTNING_LEAVES, marks=pytest.mark.soak),
    ],
)
def test_left_after_three_steps_and_begun_again_it_ends_with_the_very_parameters(package, script, agent, tmp_path):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}

    def start(folder, environment=environment):
        (tmp_path / folder).mkdir(exist_ok=True)
        command = [sys.executable, "-c", f"folder = {str(tmp_path / folder)!r}\n" + script + DIGEST]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    under = training_environment(agent.path, environment, "job")
    with start("alone") as alone, start("left", under) as left:
        try:
            agent.admit(target=3)
            agent.quiet(3)
            assert agent.words[MAY_LEAVE] == 1
            agent.words[TIER] = LEAVE
            agent.release(8)
            _, err = left.communicate(timeout=100)
            assert left.returncode == LEFT_CODE, err
            expected, _ = alone.communicate(timeout=100)
        finally:
            alone.kill()
            left.kill()
    agent.process.close()
    with start("left", under) as again:
        try:
            agent.admit(target=RUN)
            out, err = again.communicate(timeout=100)
        finally:
            again.kill()
    assert (out.split()[-1], agent.words[STEP]) == (expected.split()[-1], 5), err


@pytest.mark.parametrize(
    ("automatic", "estimated", "max_steps", "remaining"),
    [
        (True, 20, -1, 16),
        (True, 3, 3, 0),
        (True, float("inf"), -1, None),
        (True, -1, -1, None),
        (False, 20, -1, None),
        (False, 20, 9, 5),
    ],
)
def test_lightning_tells_what_it_knows_and_nothing_more(automatic, estimated, max_steps, remaining):
    """A module that steps by itself, as a GAN does, steps as often a batch as it likes. -1, infinity: no limit."""
    trainer = SimpleNamespace(estimated_stepping_batches=estimated, max_steps=max_steps, global_step=4)
    assert _remaining(trainer, SimpleNamespace(automatic_optimization=automatic)) == remaining
