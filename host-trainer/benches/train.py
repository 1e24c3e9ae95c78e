"""Training speed of the same nets in PyTorch: `python train.py NET [STEPS]`.

Eager, channels_last, two threads unless OMP_NUM_THREADS says otherwise; SGD with momentum 0.9.
The nets are those of train.rs; padding is symmetric, which costs the same. Prints one JSON
object. With --check it only prints the number of parameters.
"""

import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BATCH, SIDE, CLASSES = 64, 32, 10


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3)


class MbConv(nn.Module):
    def __init__(self, in_ch, out_ch, kernel, stride):
        super().__init__()
        mid, squeezed = 4 * in_ch, in_ch // 4
        self.expand = nn.Conv2d(in_ch, mid, 1, bias=False)
        self.expand_norm = norm(mid)
        self.depthwise = nn.Conv2d(
            mid, mid, kernel, stride, kernel // 2, groups=mid, bias=False
        )
        self.depthwise_norm = norm(mid)
        self.reduce = nn.Conv2d(mid, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, mid, 1)
        self.project = nn.Conv2d(mid, out_ch, 1, bias=False)
        self.project_norm = norm(out_ch)
        self.residual = stride == 1 and in_ch == out_ch

    def forward(self, x):
        y = F.silu(self.expand_norm(self.expand(x)))
        y = F.silu(self.depthwise_norm(self.depthwise(y)))
        s = F.silu(self.reduce(y.mean((2, 3), keepdim=True)))
        y = y * torch.sigmoid(self.excite(s))
        y = self.project_norm(self.project(y))
        return y + x if self.residual else y


class Net(nn.Module):
    def __init__(self, width, stem_stride):
        super().__init__()
        c = [width * ch for ch in (16, 16, 24, 40, 40, 160)]
        self.stem = nn.Conv2d(3, c[0], 3, stem_stride, 1, bias=False)
        self.stem_norm = norm(c[0])
        self.blocks = nn.Sequential(
            MbConv(c[0], c[1], 3, 1),
            MbConv(c[1], c[2], 5, 2),
            MbConv(c[2], c[3], 3, 2),
            MbConv(c[3], c[4], 5, 1),
        )
        self.head = nn.Conv2d(c[4], c[5], 1, bias=False)
        self.head_norm = norm(c[5])
        self.classifier = nn.Linear(c[5], CLASSES)

    def forward(self, x):
        x = self.blocks(F.silu(self.stem_norm(self.stem(x))))
        x = F.silu(self.head_norm(self.head(x)))
        return self.classifier(x.mean((2, 3)))


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "A"
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    torch.manual_seed(0)
    width, stem_stride = {"A": (1, 2), "H": (1, 1), "G": (2, 1)}[name]
    net = Net(width, stem_stride)
    parameters = sum(p.numel() for p in net.parameters())
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    images = [
        torch.randn(BATCH, 3, SIDE, SIDE).to(memory_format=torch.channels_last)
        for _ in range(4)
    ]
    labels = torch.arange(BATCH) % CLASSES

    def step(i):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(images[i % 4]), labels)
        loss.backward()
        optimizer.step()
        return loss

    warm = min(10, (steps + 9) // 10)
    for i in range(warm):
        step(i)
    start = time.perf_counter()
    for i in range(steps):
        loss = step(i)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "net": name,
                "samples_per_s": round(steps * BATCH / seconds, 1),
                "loss": round(float(loss.detach()), 4),
                "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                "parameters": parameters,
                "version": torch.__version__,
            }
        )
    )


main()
