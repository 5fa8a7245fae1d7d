"""Training LambdaMART: this library beside LightGBM, in one run, taking turns.

    pip install lightgbm
    cargo build --release -p rag-peers --bin train_lambdamart
    python benches/peers/train_lambdamart.py FOLDER [--rounds 9] [--seeds 10] [--threads 1 2]

FOLDER is LightGBM's `examples/lambdarank`: 3,005 rows of 300 columns. Both train from a matrix in memory, binning
included, with the same parameters. First the seconds of 100 and 500 trees on one and two threads: the median over the
rounds, and the median of the ratios within a round, since what else the machine does falls on both; in seconds of the
clock and of the processor. LightGBM's threads wait by spinning: on a machine that others use too, `--threads 1`. Then
nDCG@10 of the test rows (gain 2^grade − 1, a query without a relevant document counts as 1) over seeds, with rows and
columns picked at random so that the seed matters.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import lightgbm
import numpy as np

COLUMNS = 301


# Width and digits of the figures of a line.
SHAPES = [(7, 3), (11, 3), (6, 2), (17, 3), (11, 3), (6, 2)]


def read(path):
    labels, rows = [], []
    for line in open(path):
        label, *cells = line.split()
        row = np.zeros(COLUMNS, np.float32)
        for cell in cells:
            column, value = cell.split(":")
            row[int(column)] = np.float32(value)
        labels.append(float(label))
        rows.append(row)
    return np.array(rows), np.array(labels), np.array([int(size) for size in open(f"{path}.query")])


def ndcg(scores, labels, groups, k=10):
    values, start = [], 0
    for size in groups:
        gain, score = 2 ** labels[start : start + size] - 1, scores[start : start + size]
        start += size
        discount = 1 / np.log2(np.arange(2, min(k, size) + 2))
        ideal = (np.sort(gain)[::-1][:k] * discount).sum()
        values.append((gain[np.argsort(-score, kind="stable")][:k] * discount).sum() / ideal if ideal > 0 else 1.0)
    return float(np.mean(values))


class Ours:
    def __init__(self, program, folder):
        self.process = subprocess.Popen(
            [program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def train(self, parameters):
        before = self.cpu()
        print(json.dumps(parameters), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"], self.cpu() - before, np.array(answer["margins"])


class Theirs:
    def __init__(self, train, test):
        self.train_data, self.test = train, test

    def train(self, parameters):
        rows, labels, groups = self.train_data
        parameters = {"objective": "lambdarank", "verbose": -1, **parameters}
        trees = parameters.pop("num_trees")
        cpu, begin = time.process_time(), time.perf_counter()
        booster = lightgbm.train(parameters, lightgbm.Dataset(rows, labels, group=groups), trees)
        return time.perf_counter() - begin, time.process_time() - cpu, booster.predict(self.test)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--program", default="target/release/train_lambdamart")
    arguments = parser.parse_args()
    train, test = (read(f"{arguments.folder}/{name}") for name in ("rank.train", "rank.test"))
    ours, theirs = Ours(arguments.program, arguments.folder), Theirs(train, test[0])
    print(f"lightgbm {lightgbm.__version__}; medians of {arguments.rounds} rounds")
    print("threads trees |  ours s  LightGBM s  ratio | processor: ours s  LightGBM s  ratio")
    for threads in arguments.threads if arguments.rounds else ():
        for trees in (100, 500):
            parameters = {"num_trees": trees, "num_threads": threads}
            rounds = [(ours.train(parameters), theirs.train(parameters)) for _ in range(arguments.rounds)]
            def median(values):
                return statistics.median(values)
            cells = []
            for kind in (0, 1):
                pairs = [(one[kind], other[kind]) for one, other in rounds]
                ratio = median(one / other for one, other in pairs)
                cells += [median(one for one, _ in pairs), median(other for _, other in pairs), ratio]
            shown = [f"{cell:{width}.{digits}f}" for cell, (width, digits) in zip(cells, SHAPES, strict=True)]
            print(f"{threads:7} {trees:5} | {' '.join(shown[:3])} | {' '.join(shown[3:])}", flush=True)
    if arguments.seeds:
        quality(ours, theirs, test, arguments.seeds)


def quality(ours, theirs, test, seeds):
    values = []
    for seed in range(seeds):
        parameters = {
            "num_trees": 100,
            "num_threads": 1,
            "seed": seed,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "feature_fraction": 0.8,
        }
        values.append([ndcg(side.train(parameters)[2], test[1], test[2]) for side in (ours, theirs)])
    means, deviations = np.mean(values, axis=0), np.std(values, axis=0)
    print(
        f"test nDCG@10 over {seeds} seeds: ours {means[0]:.4f} ± {deviations[0]:.4f}, "
        f"LightGBM {means[1]:.4f} ± {deviations[1]:.4f}"
    )


main()
