"""Scoring by trees, one thread: this library beside LightGBM, XGBoost, tl2cgen and lleaves, in one run, taking turns.

    pip install lightgbm xgboost tl2cgen treelite lleaves "llvmlite<0.44"      # gcc as well
    cargo build --release -p rag-peers
    python benches/peers/score_trees.py [--rounds 7] [--trees 100 …] [--program target/release/score_trees]

Models are trained here by LightGBM and, at the same size, by XGBoost, on random data whose columns are numbers, counts
and mostly zeros. Each peer is called through its C interface from a loop in C, so that no interpreter is timed; rows
that it does not take as they are (lleaves: doubles; tl2cgen: entries) are given to it converted. A figure is the median
over the rounds of microseconds a row, all rows scored once a round.

LightGBM: single-row fast for one row, `PredictForMat` for more. XGBoost: inplace prediction from Python, since its C
interface wants a description of each array; timed from 100 rows a call on.
"""

import argparse
import ctypes
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import lightgbm
import numpy as np

HARNESS = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

typedef int (*init_fn)(void *, int, int, int, int, int32_t, const char *, void **);
typedef int (*single_fn)(void *, const void *, int64_t *, double *);
typedef int (*matrix_fn)(void *, const void *, int, int32_t, int32_t, int, int, int, int, const char *, int64_t *,
                         double *);

double lightgbm_single(void *init, void *single, void *booster, const double *rows, int n, int columns, double *out) {
    void *fast;
    int64_t length;
    if (((init_fn)init)(booster, 1, 0, -1, 1, columns, "num_threads=1", &fast)) return -1;
    double begin = now();
    for (int i = 0; i < n; i++)
        if (((single_fn)single)(fast, rows + (int64_t)i * columns, &length, out + i)) return -1;
    return now() - begin;
}

double lightgbm_batch(void *predict, void *booster, const double *rows, int n, int columns, int batch, double *out) {
    int64_t length;
    double begin = now();
    for (int i = 0; i < n; i += batch)
        if (((matrix_fn)predict)(booster, rows + (int64_t)i * columns, 1, n - i < batch ? n - i : batch, columns, 1,
                                 1, 0, -1, "num_threads=1", &length, out + i)) return -1;
    return now() - begin;
}

typedef void (*leaves_fn)(const double *, double *, int, int);

double lleaves(void *predict, const double *rows, int n, int columns, int batch, double *out) {
    double begin = now();
    for (int i = 0; i < n; i += batch)
        ((leaves_fn)predict)(rows + (int64_t)i * columns, out + i, 0, n - i < batch ? n - i : batch);
    return now() - begin;
}

union entry { int missing; float value; double wide; };
typedef void (*tl2cgen_fn)(union entry *, int, void *);

double tl2cgen(void *predict, const void *rows, int n, int columns, int size, int batch, void *out) {
    double begin = now();
    char *data = (char *)malloc((size_t)columns * size);
    for (int i = 0; i < n; i++) {
        memcpy(data, (const char *)rows + (int64_t)i * columns * size, (size_t)columns * size);
        ((tl2cgen_fn)predict)((union entry *)data, 1, (char *)out + (int64_t)i * size);
    }
    free(data);
    return now() - begin;
}
"""


def data(columns, rows=20_000, seed=0):
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, columns)).astype(np.float32)
    features[:, ::4] = np.round(np.abs(features[:, ::4]) * 3)
    mostly_zero = features[:, 1::4]
    mostly_zero[random.random(mostly_zero.shape) < 0.6] = 0
    signal = features @ random.normal(size=columns) * 0.2 + np.sin(features[:, 2] * 2) * 2
    signal += features[:, 3] * features[:, 6] + random.normal(size=rows)
    return features, np.digitize(signal, np.quantile(signal, [0.5, 0.7, 0.85, 0.95]))


class Ours:
    name = "rag-ltr"

    def __init__(self, program, model, rows, columns):
        command = [program, model, rows, str(columns)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.load_ms = int(self.process.stdout.readline()) / 1e6

    def time(self, batch):
        print(batch, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline()) / 1e3

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Native:
    """What is called from the loops in C."""

    def __init__(self, harness, features):
        self.harness, self.n, self.columns = harness, *features.shape
        self.rows = np.ascontiguousarray(features, dtype=np.float64)
        self.out = np.zeros(self.n)

    def pointer(self, array):
        return ctypes.c_void_p(array.ctypes.data)

    def micros(self, nanos):
        assert nanos > 0, f"{self.name} failed"
        return nanos / self.n / 1e3


class LightGbm(Native):
    name = "LightGBM"

    def __init__(self, harness, features, booster):
        super().__init__(harness, features)
        self.booster, self.library = booster, lightgbm.basic._LIB
        begin = time.perf_counter()
        self.again = lightgbm.Booster(model_str=booster.model_to_string())
        self.load_ms = (time.perf_counter() - begin) * 1e3

    def function(self, name):
        return ctypes.cast(getattr(self.library, name), ctypes.c_void_p)

    def time(self, batch):
        handle = self.again._handle
        rows, out = self.pointer(self.rows), self.pointer(self.out)
        if batch == 1:
            init = self.function("LGBM_BoosterPredictForMatSingleRowFastInit")
            single = self.function("LGBM_BoosterPredictForMatSingleRowFast")
            return self.micros(self.harness.lightgbm_single(init, single, handle, rows, self.n, self.columns, out))
        predict = self.function("LGBM_BoosterPredictForMat")
        return self.micros(self.harness.lightgbm_batch(predict, handle, rows, self.n, self.columns, batch, out))


class LLeaves(Native):
    name = "lleaves"

    def __init__(self, harness, features, path):
        import lleaves

        super().__init__(harness, features)
        begin = time.perf_counter()
        self.model = lleaves.Model(model_file=path)
        self.model.compile()
        self.load_ms = (time.perf_counter() - begin) * 1e3
        self.function = ctypes.cast(self.model._c_entry_func, ctypes.c_void_p)

    def time(self, batch):
        rows, out = self.pointer(self.rows), self.pointer(self.out)
        return self.micros(self.harness.lleaves(self.function, rows, self.n, self.columns, batch, out))


class Tl2cgen(Native):
    name = "tl2cgen"

    def __init__(self, harness, features, path, folder):
        import tl2cgen
        import treelite

        super().__init__(harness, features)
        begin = time.perf_counter()
        model = treelite.frontend.load_lightgbm_model(path)
        # A path of its own for each model: what was loaded from a path before would be given again.
        library = str(pathlib.Path(tempfile.mkdtemp(dir=folder)) / "model.so")
        tl2cgen.export_lib(model, toolchain="gcc", libpath=library, params={"parallel_comp": 2}, options=["-O3"])
        self.load_ms = (time.perf_counter() - begin) * 1e3
        self.library = ctypes.CDLL(library)
        self.function = ctypes.cast(self.library.predict, ctypes.c_void_p)
        self.size = 8  # LightGBM's thresholds are doubles, so entries and results are as well
        assert not np.isnan(self.rows).any(), "a missing value would be another entry"

    def time(self, batch):
        rows, out = self.pointer(self.rows), self.pointer(self.out)
        return self.micros(self.harness.tl2cgen(self.function, rows, self.n, self.columns, self.size, batch, out))


class XgBoost:
    name = "XGBoost"

    def __init__(self, features, labels, group, trees, leaves):
        import xgboost

        data = xgboost.DMatrix(features, labels, group=group)
        options = {"objective": "rank:ndcg", "grow_policy": "lossguide", "max_leaves": leaves, "max_depth": 0}
        options |= {"tree_method": "hist", "eta": 0.05, "nthread": 1}
        trained = xgboost.train(options, data, trees)
        raw = trained.save_raw()
        begin = time.perf_counter()
        self.booster = xgboost.Booster({"nthread": 1}, model_file=raw)
        self.load_ms = (time.perf_counter() - begin) * 1e3
        self.booster.set_param({"nthread": 1})
        self.rows = features

    def time(self, batch):
        if batch < 100:
            return None
        rows = self.rows[:2000]
        begin = time.perf_counter()
        for start in range(0, len(rows), batch):
            self.booster.inplace_predict(rows[start : start + batch])
        return (time.perf_counter() - begin) / len(rows) * 1e6


def check(ours, booster, features):
    """What is timed answers what LightGBM answers, whoever answers it."""
    expected = booster.predict(features, raw_score=True)
    for peer in ours:
        if isinstance(peer, Native):
            peer.out[:] = 0
            peer.time(100)
            assert np.allclose(peer.out, expected, rtol=1e-6, atol=1e-9), peer.name


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--rows", type=int, default=2000)
    for name, all in [("columns", [46, 136]), ("leaves", [31, 64]), ("trees", [100, 500, 1000])]:
        arguments.add_argument(f"--{name}", type=int, nargs="+", choices=all, default=all, help="of the models")
    arguments.add_argument("--program", default="target/release/score_trees")
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "harness.c").write_text(HARNESS)
        harness = folder / "harness.so"
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", harness, folder / "harness.c"], check=True)
        harness = ctypes.CDLL(str(harness))
        for name in ["lightgbm_single", "lightgbm_batch", "lleaves", "tl2cgen"]:
            getattr(harness, name).restype = ctypes.c_double
        worst = {}
        for columns in arguments.columns:
            features, labels = data(columns)
            group = [100] * (len(labels) // 100)
            rows = features[: arguments.rows]
            rows_file = folder / "rows.f32"
            rows.tofile(rows_file)
            for leaves in arguments.leaves:
                options = {"objective": "lambdarank", "num_leaves": leaves, "learning_rate": 0.05, "verbose": -1}
                whole = lightgbm.train(
                    options | {"num_threads": 1}, lightgbm.Dataset(features, labels, group=group), 1000
                )
                for trees in arguments.trees:
                    path = str(folder / "model.txt")
                    whole.save_model(path, num_iteration=trees)
                    booster = lightgbm.Booster(model_file=path)
                    peers = [
                        Ours(arguments.program, path, rows_file, columns),
                        LightGbm(harness, rows, booster),
                        LLeaves(harness, rows, path),
                        Tl2cgen(harness, rows, path, folder),
                        XgBoost(features, labels, group, trees, leaves),
                    ]
                    peers[-1].rows = rows
                    check(peers, booster, rows)
                    loads = ", ".join(f"{peer.name} {peer.load_ms:.0f}" for peer in peers)
                    print(f"{trees} x {leaves}, {columns} columns; ready after ms: {loads}", flush=True)
                    for batch in [1, 10, 100, 1000]:
                        figures = {peer.name: [] for peer in peers}
                        for _ in range(arguments.rounds):
                            for peer in peers:
                                figures[peer.name].append(peer.time(batch))
                        medians = {name: statistics.median(all) for name, all in figures.items() if None not in all}
                        own = medians["rag-ltr"]
                        parts = [f"{name} {value:.3f} ({value / own:.1f}x)" for name, value in medians.items()]
                        print(f"  {batch:>4} rows a call, us a row: {', '.join(parts)}", flush=True)
                        for name, value in medians.items():
                            worst[name] = min(worst.get(name, 1e9), value / own)
                    peers[0].close()
        print("least ratio to rag-ltr:", json.dumps({name: round(value, 2) for name, value in worst.items()}))


if __name__ == "__main__":
    main()
