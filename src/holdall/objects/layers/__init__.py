"""Layers: stores around stores, one idea a file.

The order in which an assembled store has them, from the outside:

    Metrics → Cache → Router → for each backend: Retry → Breaker → Rate → Concurrency → Timeout

`Retry` stands outside of `Concurrency`, so that no slot is held through a back-off, and outside
of `Breaker`, which counts every attempt.
"""

from holdall.objects.layers.layer import Call, Layer, LayerStream, LayerUpload

__all__ = ["Call", "Layer", "LayerStream", "LayerUpload"]
