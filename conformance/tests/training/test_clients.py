"""Other people's training code over patched models and our optimizers, as its authors ship it: the versions stand in
the `clients` extra, and without it all of this is skipped. Nothing is downloaded: weights are random, models small."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import optim, patch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 3))


def images(count=6, dtype=torch.float32):
    g = torch.Generator().manual_seed(1)
    return [(torch.randn(8, 1, 8, 8, generator=g).to(dtype), torch.randint(0, 3, (8,), generator=g))
            for _ in range(count)]


def patched(model):
    report = patch.patch(model)
    assert report.changed
    return model


def no_further(own, plain, exact):
    """From the float64 run no further than four times what the same run of torch's is."""
    for a, b, c in zip(own, plain, exact, strict=True):
        a, b, c = (t.detach().double() for t in (a, b, c))
        unit = torch.finfo(torch.float32).eps * max(1.0, float(c.norm()))
        assert (a - c).norm() <= 4 * (b - c).norm() + 16 * unit


# ------------------------------------------------------------------------------------------------------- Lightning
def lit(ours, precise=False):
    lightning = pytest.importorskip("lightning")

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = patched(network()) if ours else network()
            self.net = self.net.double() if precise else self.net

        def training_step(self, batch, _):
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return (optim if ours else torch.optim).AdamW(self.net.parameters(), lr=0.01, weight_decay=0.1)

    return Lit()


def fitted(module, precision, folder, steps=6, resume=None):
    lightning = pytest.importorskip("lightning")
    torch.manual_seed(3)
    trainer = lightning.Trainer(
        max_steps=steps, accelerator="cpu", devices=1, precision=precision, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder)
    dtype = torch.float64 if precision.startswith("64") else torch.float32
    trainer.fit(module, torch.utils.data.DataLoader(images(3, dtype), batch_size=None), ckpt_path=resume)
    return trainer


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true", "64-true"])
def test_lightning_trains_a_patched_model(precision, tmp_path):
    runs = [lit(True), lit(False), lit(False, precise=True)]
    for module, how in zip(runs, (precision, precision, "64-true"), strict=True):
        fitted(module, how, tmp_path)
    no_further(*(list(run.net.state_dict().values()) for run in runs))


@pytest.mark.parametrize("first", [True, False], ids=["ours first", "torch first"])
def test_lightning_resumes_with_and_without_the_patch(first, tmp_path):
    """A checkpoint of either goes on as the other."""
    def resumed(before, after, name, precision="32-true"):
        file = tmp_path / f"{name}.ckpt"
        fitted(before, precision, tmp_path, steps=3).save_checkpoint(file)
        fitted(after, precision, tmp_path, resume=str(file))
        return list(after.net.state_dict().values())

    precise = lit(False, precise=True), lit(False, precise=True)
    no_further(resumed(lit(first), lit(not first), "ours"), resumed(lit(False), lit(False), "plain"),
               resumed(*precise, "exact", "64-true"))


# ------------------------------------------------------------------------------------------------------- accelerate
@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_accelerate_prepares_a_patched_model(precision, tmp_path):
    accelerate = pytest.importorskip("accelerate")

    def trained(ours, dtype=torch.float32, how="no"):
        accelerate.state.AcceleratorState._reset_state(True)
        accelerator = accelerate.Accelerator(cpu=True, mixed_precision=how)
        net = (patched(network()) if ours else network()).to(dtype)
        made = (optim if ours else torch.optim).SGD(net.parameters(), lr=0.05, momentum=0.9)
        model, optimizer = accelerator.prepare(net, made)
        for x, y in images(dtype=dtype):
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(x), y)
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
        accelerator.save_state(str(tmp_path / f"{ours}"))
        accelerator.load_state(str(tmp_path / f"{ours}"))
        return list(accelerator.unwrap_model(model).state_dict().values())

    no_further(trained(True, how=precision), trained(False, how=precision), trained(False, torch.float64))


# ------------------------------------------------------------------------------------------------------ transformers
PIXELS, WORDS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2)), torch.arange(14).view(2, 7) % 5
LABELS = torch.tensor([0, 2])
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
#: name: (configuration, its arguments, model, what it is called with)
MODELS = {
    "ViT": ("ViTConfig", {**SMALL, "image_size": 32, "patch_size": 8, "num_labels": 3}, "ViTForImageClassification",
            {"pixel_values": PIXELS, "labels": LABELS}),
    "ResNet": ("ResNetConfig", {"embedding_size": 8, "hidden_sizes": [8, 12], "depths": [1, 2], "layer_type": "basic",
                                "num_labels": 3}, "ResNetForImageClassification",
               {"pixel_values": PIXELS, "labels": LABELS}),
    "ConvNeXt": ("ConvNextConfig", {"num_stages": 2, "hidden_sizes": [8, 12], "depths": [1, 1], "num_labels": 3},
                 "ConvNextForImageClassification", {"pixel_values": PIXELS, "labels": LABELS}),
    "BERT": ("BertConfig", {**SMALL, "vocab_size": 32, "num_labels": 3}, "BertForSequenceClassification",
             {"input_ids": WORDS, "labels": LABELS}),
    "GPT-2": ("GPT2Config", {"n_embd": 16, "n_layer": 2, "n_head": 2, "vocab_size": 32, "n_positions": 16,
                             "bos_token_id": 0, "eos_token_id": 0}, "GPT2LMHeadModel",
              {"input_ids": WORDS, "labels": WORDS}),
}


def in_dtype(given, dtype):
    return {key: t.to(dtype) if t.is_floating_point() else t for key, t in given.items()}


@pytest.mark.parametrize("where", ["cpu", "simulator"])
@pytest.mark.parametrize("name", MODELS)
def test_transformers_losses_and_gradients(name, where):
    transformers = pytest.importorskip("transformers")
    configuration, how, model, given = MODELS[name]
    torch.manual_seed(0)
    plain = getattr(transformers, model)(getattr(transformers, configuration)(**how))
    plain.train() if name == "ResNet" else plain.eval()         # the others have dropout
    ours, exact = patched(copy.deepcopy(plain)), copy.deepcopy(plain).double()
    found = []
    for one, dtype in ((ours, torch.float32), (plain, torch.float32), (exact, torch.float64)):
        if one is ours and where == "simulator":
            with simulate(check=False):
                loss = one(**in_dtype(given, dtype)).loss
                loss.backward()
        else:
            loss = one(**in_dtype(given, dtype)).loss
            loss.backward()
        found.append([loss, *(p.grad for p in one.parameters() if p.grad is not None)])
    assert math.isfinite(float(found[0][0]))
    no_further(*found)


# ------------------------------------------------------------------------------------------------------------ captum
def test_captums_layer_attributions():
    captum = pytest.importorskip("captum.attr")
    x, _ = images(1)[0]
    found = []
    for one, dtype in ((patched(network()), torch.float32), (network(), torch.float32),
                       (network().double(), torch.float64)):
        one.eval()
        given = x.to(dtype)
        found.append([
            captum.LayerActivation(one, one[0]).attribute(given), captum.LayerActivation(one, one[5]).attribute(given),
            captum.LayerGradCam(one, one[0]).attribute(given, target=1),
            captum.LayerConductance(one, one[5]).attribute(given, target=1, n_steps=5),
            captum.LayerIntegratedGradients(one, one[2]).attribute(given, target=2, n_steps=5),
            captum.Saliency(one).attribute(given.clone().requires_grad_(), target=0)])
    no_further(*found)


def test_what_looks_for_torchs_exact_classes_is_given_the_model_undone():
    """DeepLift asks a module's exact class which rule it follows, and would treat ours as linear."""
    captum = pytest.importorskip("captum.attr")
    x, _ = images(1)[0]
    plain, ours = network().eval(), network().eval()
    wanted = captum.DeepLift(plain).attribute(x, target=1)
    with patch.patch(ours) as report:
        ours(x)
    assert report.undone
    assert torch.equal(captum.DeepLift(ours).attribute(x, target=1), wanted)
