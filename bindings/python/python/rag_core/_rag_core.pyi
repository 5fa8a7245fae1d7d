# Made of the Rust signatures by `cargo xtask stubs`.
"""
Embeddable retrieval engine: embedding, retrieval, fusion, learning to rank and evaluation in your own process.
"""

import collections.abc
import datetime
import os
import typing

import numpy
import numpy.typing
from _typeshed import Incomplete, SupportsGetItem
from typing import Any, SupportsFloat, SupportsIndex, final

__all__ = ["Answer", "Chunk", "ClickLog", "Embedder", "Engine", "Explanation", "FeatureExplanation", "FeatureLog", "FeatureSchema", "Gate", "Hit", "LtrExplanation", "Ranker", "RunExplanation", "Served", "Stats", "UpsertReport", "VectorIndex", "VerifyReport", "after_fork", "before_fork", "error_kinds", "evaluate", "fuse", "learn_fusion"]

@final
class Answer:
    """
    The answer to a question: a sequence of its hits, best first, and what to know about them.
    """
    def __eq__(self, other: object, /) -> bool: ...
    @typing.overload
    def __getitem__(self, index: int, /) -> Hit: ...
    @typing.overload
    def __getitem__(self, index: slice, /) -> tuple[Hit, ...]:
        """
        A hit by its position, or a tuple of hits by a slice.
        """
    def __iter__(self, /) -> collections.abc.Iterator[Hit]: ...
    def __len__(self, /) -> int: ...
    def __new__(cls, /, hits: tuple[Hit, ...], commit_seq: SupportsIndex, visible: SupportsIndex, degraded: SupportsGetItem[int, str], plan: str | None, gate: Served) -> Answer: ...
    def __reduce__(self, /) -> tuple[object, ...]: ...
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str:
        """
        A table for notebooks.
        """
    @property
    def commit_seq(self, /) -> int:
        """
        The commit that the answer was made from.
        """
    @property
    def degraded(self, /) -> list[str]:
        """
        What was left out, and why; empty for a full answer.
        """
    @property
    def gate(self, /) -> Served:
        """
        Which weight the ranker had, and why.
        """
    @property
    def hits(self, /) -> tuple[Hit, ...]:
        """
        The hits as a tuple, best first; equal scores by the order of the runs, then by document id.
        """
    @property
    def plan(self, /) -> str | None:
        """
        How the dense run was found: "exact scan", "graph", …; None when it was not asked for.
        """
    def to_dict(self, /) -> dict[str, object]:
        """
        As a dictionary, all the way down.
        """
    @property
    def visible(self, /) -> int:
        """
        Documents that the tenant and the filter let through.
        """

@final
class Chunk:
    """
    The place of a passage in its document.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, ordinal: SupportsIndex, start: SupportsIndex, end: SupportsIndex) -> Chunk: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def end(self, /) -> int:
        """
        Where it ends, exclusive.
        """
    @property
    def ordinal(self, /) -> int:
        """
        Which chunk of the document, 0-based.
        """
    @property
    def start(self, /) -> int:
        """
        Where it starts in the UTF-8 bytes of the document's text.
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """

@final
class ClickLog:
    """
    What users were shown and what they clicked: one impression a line of JSON, with the fields query, shown and clicked (ids
    of documents in the order in which they were shown).
    """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def clicks(self, /) -> int:
        """
        How many clicks there are.
        """
    def evaluate(self, /, run: collections.abc.Mapping[str, collections.abc.Mapping[str, float]], propensities: collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.float64], *, reward: str = "clicks", k: int | None = None, clip: float | None = None) -> dict[str, typing.Any]:
        """
        What another ranking would have earned for each impression, on the log of the rankings that served.

        Args:
            run: {query: {document: score}}.
            propensities: Of each rank, from the first on.
            reward: "clicks" or "dcg".
            k: Only the first k documents earn something; None for all.
            clip: The largest weight of all estimates but "ips"; None for 100.

        Returns:
            The estimates "logged" (of what served), "ips", "clipped_ips", "snips", "direct", "doubly_robust" and "gain"
            (doubly robust above logged), each with value, standard_error, low and high (95 %); and what to be wary of.
        """
    def history(self, /) -> list[tuple[str, int, int]]:
        """
        How often each document was shown and clicked, for `Engine.set_click_history`: (id, impressions, clicks) each.
        """
    @staticmethod
    def load(path: str | os.PathLike[str]) -> ClickLog:
        """
        Reads a file of JSON Lines.

        Raises:
            InvalidArgument: Names the line and the field.
        """
    def propensities(self, /, method: str = "harvesting", *, ranks: int | None = None, monotone: bool | None = None) -> numpy.typing.NDArray[numpy.float64]:
        """
        How likely a document at each rank is looked at, relative to the first.

        Args:
            method: "harvesting", by documents that rankers put at different ranks, or "em", by expectation maximisation.
            ranks: The last rank that is looked at; None for 100.
            monotone: Whether the values shall nowhere rise from one rank to the next; None for no.
        """
    def relevance(self, /, propensities: collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.float64]) -> dict[str, dict[str, float]]:
        """
        How often each document is clicked when it is looked at, 0 to 1: {query: {document: relevance}}.
        """
    def training(self, /, log: FeatureLog, propensities: collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.float64]) -> dict[str, typing.Any]:
        """
        Rows for `Ranker.train`: the impressions with a click as groups of rows of a feature log, each click weighted by the
        chance that it was made. What the feature log does not have is left out.

        Returns:
            A dictionary of X, y, group and inverse_propensities: `Ranker.train(**clicks.training(log, propensities))`.
        """

@final
class Embedder:
    """
    A model that turns texts into vectors.
    """
    def __repr__(self, /) -> str: ...
    @property
    def dimension(self, /) -> int:
        """
        Values of a vector.
        """
    def encode(self, /, texts: collections.abc.Sequence[str], kind: str = "document", *, batch_tokens: int | None = None, progress: bool = False) -> numpy.typing.NDArray[numpy.float32]:
        """
        Embeds texts.

        Args:
            texts: The texts.
            kind: "document" or "query"; some models put different words before the two.
            batch_tokens: About how many tokens go through the model at once, where it computes in batches; None for what
                suits it.
            progress: Show a bar on stderr, if tqdm is installed.

        Returns:
            An array of shape (len(texts), dimension) and type float32; rows have length 1, or are zeros for a text without
            a known word.
        """
    @staticmethod
    def load(path: str | os.PathLike[str] | None = None, *, device: str = "cpu", query_prompt: str | None = None, document_prompt: str | None = None, max_tokens: int | None = None) -> Embedder:
        """
        Loads a model, offline.

        Args:
            path: A sentence-transformers folder (config.json, tokenizer.json, model.safetensors) or a static model file;
                None for the bundled model.
            device: "cpu", "cuda", "cuda:1" or "metal".
            query_prompt: Text put before every query, instead of what the model's files say; document_prompt alike.
            max_tokens: Most tokens of a text, special tokens included.

        Raises:
            NotFound: Names the file that is missing.
        """
    @property
    def max_tokens(self, /) -> int | None:
        """
        Most tokens of a document that reach the model; None: no limit.
        """
    @property
    def name(self, /) -> str:
        """
        Which model this is, in words.
        """

@final
class Engine:
    """
    A retrieval engine over one data folder. Any thread may call any method; the interpreter is released while the engine
    works. Changes are staged by `upsert` and `delete`, and become durable and visible together with `commit`.

    As a context manager it commits when the block ends, or drops what is staged when the block raises, and closes.
    """
    def __enter__(self, /) -> Engine: ...
    def __exit__(self, /, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None: ...
    def __repr__(self, /) -> str: ...
    def asearch(self, /, text: str, k: int = 10, **arguments: typing.Any) -> collections.abc.Coroutine[object, object, Answer]:
        """
        As `search`, in a thread of the running event loop's executor.
        """
    def close(self, /) -> None:
        """
        Closes the folder, so that another process may open it; what is staged is dropped. Calls under way finish first.
        """
    def commit(self, /) -> int:
        """
        Makes everything staged durable, then visible; gives the number of the commit.
        """
    def compact(self, /) -> None:
        """
        Rewrites the derived indexes without what is dead.
        """
    def delete(self, /, ids: collections.abc.Iterable[str], *, tenant: str | None = None) -> int:
        """
        Stages deletions; gives the number of documents that were there. Ids that are not there are fine.
        """
    def explain(self, /, text: str, id: str, k: int = 10, *, filter: collections.abc.Mapping[str, object] | str | None = None, retrievers: collections.abc.Sequence[str] | None = None, tenant: str | None = None, vector: collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.floating[typing.Any]] | None = None, syntax: bool = False, user: str | None = None, collapse: str | None = None, diversity: float | None = None, timeout: float | None = None) -> Hit | None:
        """
        How the document `id` fares for a question: its hit with the explanation, or None when no retriever has it among
        its candidates. The other arguments are those of `search`.

        Raises:
            NotFound: There is no such document.
        """
    def feature_schema(self, /) -> FeatureSchema:
        """
        The features that rankers read and `log_features` writes, as `engine.features` of the configuration declares them.
        """
    @property
    def gate(self, /) -> Gate:
        """
        The live gate: the weight of the ranker, changed while searches run.
        """
    def get(self, /, id: str, *, tenant: str | None = None) -> dict[str, typing.Any] | None:
        """
        A stored document as a dictionary with the keys id, title, text and metadata; None when there is none of that id.
        """
    def ids(self, /, filter: collections.abc.Mapping[str, object] | str | None = None, *, after: str | None = None, limit: int | None = None, tenant: str | None = None) -> list[str]:
        """
        Ids of the documents of the last commit that match, ascending.

        Args:
            filter: As of `search`; None for all documents.
            after: Only ids after this one, such as the last one of the page before.
            limit: At most so many; None for all.
            tenant: Whose documents; None for "default".
        """
    def log_features(self, /, queries: collections.abc.Mapping[str, str] | collections.abc.Iterable[tuple[str, str]], k: int = 10, *, filter: collections.abc.Mapping[str, object] | str | None = None, retrievers: collections.abc.Sequence[str] | None = None, tenant: str | None = None, syntax: bool = False, now: datetime.datetime | None = None, timeout: float | None = None) -> FeatureLog:
        """
        The features of the best candidates of each question, as a ranker sees them: `ltr.depth` of the configuration (100), or k
        where that is more.

        Args:
            queries: {id: text}, or pairs of both; the other arguments are those of `search` and the same for all.
            now: When the questions were asked, for features that count ages; None for now.

        Raises:
            InvalidArgument: Names the question, or the feature function that raised something.
        """
    @staticmethod
    def open(path: str | os.PathLike[str], model: str | os.PathLike[str] | Embedder | None = None, *, config: str | os.PathLike[str] | None = None, feature_functions: collections.abc.Mapping[str, collections.abc.Callable[[str, list[dict[str, typing.Any]]], collections.abc.Iterable[float | None]]] | None = None) -> Engine:
        """
        Opens or makes the data folder.

        Args:
            path: The folder. One process has it open at a time; a forked child may search, not write.
            model: None for the bundled model (or what the configuration names), the path of a sentence-transformers folder
                or static model file, or an Embedder.
            config: A TOML file with settings; the variable RAG_CONFIG may name one as well, and variables such as
                RAG__ENGINE__FUSION__DEPTH win over both.
            feature_functions: Features of your own by their names, for rankers and logs: each function is called with the text
                of a question and a list of candidates (dictionaries with id, title, text and metadata), from any thread, and
                gives one number or None for each of them.

        Raises:
            Conflict: Another process has the folder.
            ModelMismatch: Its vectors are of another model.
            Corruption: The store is damaged or lost.
        """
    @property
    def path(self, /) -> str:
        """
        The data folder.
        """
    @property
    def ranker(self, /) -> Ranker | None:
        """
        The ranker in use; None without one.
        """
    @property
    def repairs(self, /) -> list[str]:
        """
        What opening found damaged or missing among the derived files, and made again from the store.
        """
    def rollback(self, /) -> None:
        """
        Drops everything staged since the last commit.
        """
    def search(self, /, text: str, k: int = 10, *, filter: collections.abc.Mapping[str, object] | str | None = None, retrievers: collections.abc.Sequence[str] | None = None, explain: bool = False, tenant: str | None = None, vector: collections.abc.Sequence[float] | numpy.typing.NDArray[numpy.floating[typing.Any]] | None = None, syntax: bool = False, user: str | None = None, collapse: str | None = None, diversity: float | None = None, timeout: float | None = None) -> Answer:
        """
        Answers a question from the last commit.

        Args:
            text: The question. May be empty with a vector.
            k: Hits wanted, 1 to 10,000.
            filter: Only documents that match, such as {"eq": {"lang": "en"}}; the forms are eq, ne, in, range, exists, and,
                or, not.
            retrievers: Any of "dense" and "lexical"; None for both, fused.
            explain: Whether each hit tells how it came about.
            tenant: Whose documents; None for "default".
            vector: The vector of the question, if there is one already.
            syntax: Read text as query syntax: title:word, "a phrase", +must, -not.
            user: Who asks, for experiments and canaries to keep to; any text that is always the same for the same user. It is
                not stored.
            collapse: One document for each value of this metadata field, the best one; `hidden` of a hit counts the others.
            diversity: How much relevance counts against variety, 0 (variety) to 1 (relevance); None for relevance alone.
            timeout: Seconds; then DeadlineExceeded is raised.
        """
    def search_many(self, /, texts: collections.abc.Iterable[str], k: int = 10, *, filter: collections.abc.Mapping[str, object] | str | None = None, retrievers: collections.abc.Sequence[str] | None = None, explain: bool = False, tenant: str | None = None, syntax: bool = False, user: str | None = None, collapse: str | None = None, diversity: float | None = None, timeout: float | None = None) -> list[Answer]:
        """
        Answers many questions, on several threads.

        Args:
            texts: The questions; the other arguments are those of `search` and the same for all.
        """
    def set_click_history(self, /, rows: collections.abc.Mapping[str, tuple[int, int]] | collections.abc.Iterable[tuple[str, int, int]], *, tenant: str | None = None) -> None:
        """
        Takes the click-through history of a tenant, in the place of the one before: the features of `features.clicks`. It is
        kept in memory.

        Args:
            rows: {id: (impressions, clicks)}, or triples of these.
            tenant: Whose documents; None for "default".
        """
    def set_ranker(self, /, ranker: Ranker | None, weight: float | None = None) -> None:
        """
        Takes a ranker into use for all searches from now on, or none. The score of a hit then is (1 − weight) · fused + weight ·
        model, both scaled to the candidates of the search. When the ranker fails or has no time, the answer is the fused one
        and says so in `degraded`.

        Args:
            ranker: None for the fused order.
            weight: 0 to 1; None for `ltr.weight` of the configuration, which is 1.

        Raises:
            SchemaMismatch: The model reads features that this engine does not have.
        """
    def stats(self, /, *, tenant: str | None = None) -> Stats:
        """
        Numbers about the engine.
        """
    def tune(self, /, queries: collections.abc.Mapping[str, str] | collections.abc.Iterable[tuple[str, str]], qrels: collections.abc.Mapping[str, collections.abc.Mapping[str, int]], *, metric: str = "ndcg@10", methods: collections.abc.Sequence[str] | None = None, normalizations: collections.abc.Sequence[str] | None = None, step: float = 0.05, folds: int = 5, seed: int = 0, few_queries: int = 1000, adaptive: bool = True, tenant: str | None = None, timeout: float | None = None) -> dict[str, typing.Any]:
        """
        Compares ways to fuse the retrievers' runs on judged questions: formulas, scales and weights, by nested cross-validation.
        Nothing of the engine changes; the report tells which configuration to open it with.

        Args:
            queries: {id: text}, or pairs of both.
            qrels: {id: {document: grade}}; questions without a relevant document are left out.
            metric: What is good, such as "ndcg@10", "mrr@10" or "recall@100".
            methods: Formulas to compare, `["all"]` for each; None for "convex" and "rrf".
            normalizations: Scales to compare; None for all.
            step: Of the weight of the dense run from 0 to 1.
            folds: Parts of the questions, each held out once.
            seed: What the parts and the resampling follow from.
            few_queries: With fewer questions, what is in use stays unless another is better by more than one standard error.
            adaptive: Whether to fit a weight for each question as well.
            tenant: Whose documents; None for "default".
            timeout: Seconds.

        Returns:
            A dictionary: chosen, held_out (the figure to report), baselines, comparisons, formulas, curve, adaptive, and toml:
            the choice as a piece of the configuration file, with where it comes from.
        """
    def upsert(self, /, documents: collections.abc.Iterable[object], *, tenant: str | None = None, timeout: float | None = None) -> UpsertReport:
        """
        Stages documents: new ones are added, changed ones replaced, unchanged ones left alone. Only chunks whose text is
        new are embedded.

        Args:
            documents: Dictionaries with the keys id, title, text and metadata; objects with these attributes, such as
                dataclasses; or a table of pyarrow, polars or pandas, whose other columns are metadata. A list or tuple is
                staged whole or not at all; anything longer-lived is staged in batches as it comes, and what was staged
                before an error stays staged until `commit` or `rollback`.
            tenant: Whose documents; None for "default".
            timeout: Seconds.

        Raises:
            InvalidArgument: Names the document and the field.
        """
    def verify(self, /) -> VerifyReport:
        """
        Reads every row of the store and every derived file; derived pieces that are wrong are made again.

        Raises:
            Corruption: The store itself is damaged.
        """

@final
class Explanation:
    """
    How a score came about. The contributions of the runs add up to the fused score, which without a ranker is the score.
    """
    def __eq__(self, other: object, /) -> bool: ...
    def __new__(cls, /, score: SupportsFloat | SupportsIndex, fusion: str, runs: tuple[RunExplanation, ...], ltr: LtrExplanation | None = None, diversity: SupportsFloat | SupportsIndex | None = None) -> Explanation: ...
    def __reduce__(self, /) -> tuple[object, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def diversity(self, /) -> float | None:
        """
        The value of maximal marginal relevance when the document was picked; None where the search asks for no diversity.
        """
    @property
    def fusion(self, /) -> str:
        """
        How the runs were combined, such as "convex(min_max)" or "rrf(60)"; the name of the only run.
        """
    @property
    def ltr(self, /) -> LtrExplanation | None:
        """
        What the ranker said; None without one, and where it was skipped.
        """
    @property
    def runs(self, /) -> tuple[RunExplanation, ...]:
        """
        One RunExplanation for each run that was asked, in run order.
        """
    @property
    def score(self, /) -> float:
        """
        The score that is explained.
        """
    def to_dict(self, /) -> dict[str, object]:
        """
        As a dictionary.
        """

@final
class FeatureExplanation:
    """
    One feature of a document.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, name: str, value: SupportsFloat | SupportsIndex | None, contribution: SupportsFloat | SupportsIndex | None) -> FeatureExplanation: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def contribution(self, /) -> float | None:
        """
        Its SHAP value: what it adds to the score; None where the model does not say enough of its training.
        """
    @property
    def name(self, /) -> str:
        """
        Its name.
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """
    @property
    def value(self, /) -> float | None:
        """
        Its value; None: missing.
        """

@final
class FeatureLog:
    """
    The candidates of some questions with their features, as a ranker sees them. Rows stand question by question, the
    candidates of each best first by the fused score.
    """
    @property
    def X(self, /) -> Incomplete:
        """
        The features, (n, d); NaN is a missing value. Not to be written to.
        """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def document_ids(self, /) -> list[str]:
        """
        The id of the document of each row.
        """
    @property
    def group(self, /) -> list[int]:
        """
        How many rows each question has; 0 for one without candidates.
        """
    def labels(self, /, qrels: collections.abc.Mapping[str, collections.abc.Mapping[str, int]]) -> numpy.typing.NDArray[numpy.float32]:
        """
        The grade of each row by judgments; 0 where there is none, and for grades below 0.

        Args:
            qrels: {query: {document: grade}}.
        """
    @property
    def names(self, /) -> list[str]:
        """
        Names of the features.
        """
    @property
    def query_ids(self, /) -> list[str]:
        """
        The id of each question.
        """
    @property
    def schema(self, /) -> FeatureSchema:
        """
        What the columns are.
        """
    def to_svmlight(self, /, path: str | os.PathLike[str], qrels: collections.abc.Mapping[str, collections.abc.Mapping[str, int]] | None = None) -> None:
        """
        Writes the rows with their grades as SVMlight's text, which LightGBM, XGBoost and scikit-learn read too: queries and
        columns are counted from 1, zeros left out, and so are questions without candidates.

        Args:
            path: The file.
            qrels: {query: {document: grade}}; None for grades of 0.
        """

@final
class FeatureSchema:
    """
    The features of a row, in order, and what names them in models and messages.

    Args:
        names: One for each column, each once.
        kinds: "numeric", "boolean" or "categorical" for each; None for numbers all of them.
        version: Number of the schema, raised with every change.
        meanings: What the values of each depend on besides the data, in short text or None, such as a list of values.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __len__(self, /) -> int: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, names: collections.abc.Iterable[str], kinds: collections.abc.Iterable[str] | None = None, version: int = 1, meanings: list[str | None] | None = None) -> FeatureSchema: ...
    def __reduce__(self, /) -> tuple[object, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def hash(self, /) -> str:
        """
        SHA-256 of names, kinds, meanings and order, in hexadecimal digits.
        """
    @property
    def id(self, /) -> str:
        """
        What models and messages call it: version and the first digits of the hash, such as "v1:52c2e968bc9a".
        """
    @property
    def kinds(self, /) -> list[str]:
        """
        What the values of each are: "numeric", "boolean" or "categorical".
        """
    @property
    def meanings(self, /) -> list[str | None]:
        """
        What the values of each depend on besides the data; None where nothing can be set.
        """
    @property
    def names(self, /) -> list[str]:
        """
        Names of the features.
        """
    def to_dict(self, /) -> dict[str, object]:
        """
        As a dictionary.
        """
    @property
    def version(self, /) -> int:
        """
        Number of the schema.
        """

@final
class Gate:
    """
    The weight of the ranker of a data folder, changed and watched while searches run; docs/gate.md says who gets which weight.

    Every change has an author and a reason, and is durable before it holds. Changes give what holds then: a dictionary with
    epoch, weight, killed, experiments, canary and changed. `expect` refuses the change when the gate is at another epoch.
    """
    def __repr__(self, /) -> str: ...
    def abort_canary(self, /, *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Ends the canary: nobody gets its weight any more.
        """
    def assign(self, /, user: str | None = None, query: str = "") -> dict[str, typing.Any]:
        """
        What holds for a request: epoch, weight (None: that of the ranker), reason, experiment, variant, and the token of a
        canary. `search` asks this itself.
        """
    def end_experiment(self, /, name: str, *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Ends an experiment.
        """
    def kill(self, /, *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        The weight 0 for everyone, and the end of a canary under way.
        """
    def observe(self, /, token: str, *, latency_us: int | None = None, error: bool = False, cache_hit: float | None = None, empty: bool = False, quality: float | None = None) -> None:
        """
        Tells the canary what became of a request that `assign` gave a token; of its own searches an engine tells it itself.
        """
    def observe_quality(self, /, token: str | None, quality: float) -> None:
        """
        Tells the canary the quality of an answer, 0 to 1: a click or none. `token` is that of the answer's `gate`; None, which
        answers outside of a canary have, is fine and counts nothing.
        """
    @staticmethod
    def open(path: str | os.PathLike[str], *, key_file: str | os.PathLike[str] | None = None) -> Gate:
        """
        The gate of a data folder, which may be open elsewhere, in this process or in another one. With an engine at hand take
        `engine.gate`.

        Args:
            path: The data folder.
            key_file: The secret that buckets follow from (`engine.gate.key_file`); None for that of the folder.
        """
    def records(self, /) -> list[dict[str, typing.Any]]:
        """
        All changes, the first one first.
        """
    def resume_canary(self, /, *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Gives a paused canary the samples and the time of its step once more.
        """
    def revive(self, /, *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Weight and experiments as before `kill`.
        """
    def set_weight(self, /, weight: float, *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Gives the ranker another weight, 0 to 1, for all who are in no experiment.
        """
    def start_canary(self, /, plan: float | collections.abc.Mapping[str, typing.Any], *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Lets a weight earn its traffic step by step; harm takes it back.

        Args:
            plan: The weight, or a dictionary with weight and optionally steps, min_samples, max_samples, min_seconds,
                max_seconds, guardrails and alpha, as `rag canary plan` prints it.
        """
    def start_experiment(self, /, experiment: collections.abc.Mapping[str, typing.Any], *, reason: str, author: str, issue: str | None = None, expect: int | None = None) -> dict[str, typing.Any]:
        """
        Begins an experiment.

        Args:
            experiment: A dictionary with name and variants (each name, weight and optionally part), and optionally share, unit
                ("user" or "query"), group and shadow.
        """
    def status(self, /) -> dict[str, typing.Any]:
        """
        What holds on disk, and what was seen of the requests: also key, guardrails and shadows.
        """
    def tick(self, /) -> None:
        """
        Does what is due: lets the canary decide and saves what was seen. An engine does so itself once a second while it answers.
        """

@final
class Hit:
    """
    One found document.
    """
    def __eq__(self, other: object, /) -> bool: ...
    def __new__(cls, /, rank: SupportsIndex, id: str, score: SupportsFloat | SupportsIndex, title: str, text: str, chunk: Chunk, metadata: dict[str, typing.Any], hidden: SupportsIndex = 0, explain: Explanation | None = None) -> Hit: ...
    def __reduce__(self, /) -> tuple[object, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def chunk(self, /) -> Chunk:
        """
        Its place in the document.
        """
    @property
    def explain(self, /) -> Explanation | None:
        """
        How the hit came about, if asked for.
        """
    @property
    def hidden(self, /) -> int:
        """
        How many further candidates have the same value of the field that the search collapses by.
        """
    @property
    def id(self, /) -> str:
        """
        Id of the document.
        """
    @property
    def metadata(self, /) -> dict[str, typing.Any]:
        """
        Metadata of the document.
        """
    @property
    def rank(self, /) -> int:
        """
        1-based.
        """
    @property
    def score(self, /) -> float:
        """
        Fused score, or cosine or BM25 with one retriever; higher is better.
        """
    @property
    def text(self, /) -> str:
        """
        The passage that matched best.
        """
    @property
    def title(self, /) -> str:
        """
        Title of the document.
        """
    def to_dict(self, /) -> dict[str, object]:
        """
        As a dictionary, all the way down.
        """

@final
class LtrExplanation:
    """
    What a ranker thought of a document: the score of the hit is (1 − weight) · fused_normalized + weight · normalized.
    """
    def __eq__(self, other: object, /) -> bool: ...
    def __new__(cls, /, fused: SupportsFloat | SupportsIndex, fused_normalized: SupportsFloat | SupportsIndex, score: SupportsFloat | SupportsIndex, normalized: SupportsFloat | SupportsIndex, weight: SupportsFloat | SupportsIndex, expected: SupportsFloat | SupportsIndex | None, features: tuple[FeatureExplanation, ...]) -> LtrExplanation: ...
    def __reduce__(self, /) -> tuple[object, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def expected(self, /) -> float | None:
        """
        What the model answers when no feature is known. With the contributions of all features it adds up to the model's
        score; None where the model does not say.
        """
    @property
    def features(self, /) -> tuple[FeatureExplanation, ...]:
        """
        One FeatureExplanation for each feature that the model read, in its order.
        """
    @property
    def fused(self, /) -> float:
        """
        The fused score, which the runs add up to.
        """
    @property
    def fused_normalized(self, /) -> float:
        """
        Its place between the least and the greatest of the candidates that the model ranked.
        """
    @property
    def normalized(self, /) -> float:
        """
        Its place between the least and the greatest.
        """
    @property
    def score(self, /) -> float:
        """
        The model's score.
        """
    def to_dict(self, /) -> dict[str, object]:
        """
        As a dictionary.
        """
    @property
    def weight(self, /) -> float:
        """
        Weight of the model's score.
        """

@final
class Ranker:
    """
    A model that ranks documents by their features: read from a file, or trained here. It is never changed, and any thread
    may use it.

    Arrays of features have one row a document and one column a feature; NaN is a missing value. They are read as float32, in
    place where they are that in C order; float64, lists and tables of numbers are converted.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __reduce__(self, /) -> tuple[object, ...]: ...
    def __repr__(self, /) -> str: ...
    def explain(self, /, X: numpy.typing.ArrayLike) -> tuple[numpy.typing.NDArray[numpy.float64], float]:
        """
        Why each row has its margin: what each feature adds to it (SHAP values for trees).

        Returns:
            Contributions, (n, d), and what the model answers when no feature is known. A row's contributions and that number
            add up to its margin.

        Raises:
            Unsupported: The model does not say how the rows of its training went.
        """
    def feature_importance(self, /, kind: str | None = None) -> numpy.typing.NDArray[numpy.float64]:
        """
        How much the model uses each feature.

        Args:
            kind: "gain", what its splits won in the training, or "split", how many there are; of a linear model "weight", the
                weights of the standardised features. None for the first of these.
        """
    @property
    def feature_names(self, /) -> list[str]:
        """
        Names of the features; empty where the model has none.
        """
    @classmethod
    def from_bytes(cls, /, data: bytes) -> Ranker:
        """
        As `load`, from the bytes of a file.
        """
    @staticmethod
    def load(path: str | os.PathLike[str]) -> Ranker:
        """
        Reads a model file: one of `save`, of LightGBM (text, JSON) or of XGBoost (JSON, UBJSON). Scores are those of the
        library that wrote it; what would be scored differently is refused.

        Raises:
            InvalidArgument: The file is damaged or no model.
            Unsupported: The model has something that cannot be scored here.
        """
    def margin(self, /, X: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        The margin of each row: the sum before any link, which is what ranks.
        """
    @property
    def num_features(self, /) -> int:
        """
        Features of a row.
        """
    @property
    def num_trees(self, /) -> int | None:
        """
        Trees of the model; None for a linear one.
        """
    def save(self, /, path: str | os.PathLike[str], format: str = "rag") -> None:
        """
        Writes the model to one file, whole or not at all.

        Args:
            path: The file.
            format: "rag", with schema and training; or "lightgbm", the text that LightGBM reads, for trees.
        """
    @property
    def schema(self, /) -> str | None:
        """
        Which feature schema the model was made for, such as "v1:52c2e968bc9a"; None where it does not say.
        """
    def score(self, /, X: numpy.typing.ArrayLike) -> numpy.typing.NDArray[numpy.float64]:
        """
        The score of each row, as the library of the model predicts it: the margin after the link of its objective.
        """
    def to_bytes(self, /, format: str = "rag") -> bytes:
        """
        The bytes of the file that `save` writes.
        """
    @staticmethod
    def train(X: numpy.typing.ArrayLike, y: numpy.typing.ArrayLike, group: numpy.typing.ArrayLike | None = None, *, num_trees: int = 100, num_leaves: int = 31, learning_rate: float = 0.1, seed: int = 0, threads: int = 0, valid: tuple[numpy.typing.ArrayLike, ...] | None = None, weights: numpy.typing.ArrayLike | None = None, inverse_propensities: numpy.typing.ArrayLike | None = None, feature_names: collections.abc.Iterable[str] | None = None, schema: FeatureSchema | None = None, progress: collections.abc.Callable[[int, int, dict[str, float]], object] | None = None, **parameters: object) -> Ranker:
        """
        Trains trees boosted for a ranking (LambdaMART). The same data, parameters and seed give the same model, whatever the
        number of threads.

        Args:
            X: Features, (n, d); the rows of a query stand together.
            y: n grades: whole numbers from 0 on, higher is better.
            group: How many rows each query has. Objectives that do not rank need none.
            num_trees: Trees to grow; the next ones are LightGBM's too.
            threads: 0 for as many as there are processors.
            valid: (X, y, group) to watch, and for early stopping.
            weights: One for each row.
            inverse_propensities: One for each row, where the grades are clicks: one divided by the chance that the row was
                looked at.
            feature_names: One for each column; None for those of the schema.
            schema: What the columns are: the model then says that it was made for it, and its columns of categories are split
                as such.
            progress: Is called after each tree with the number of trees, how many there will be, and the metrics by name; False
                ends the training with the trees that there are.
            parameters: Others by LightGBM's names, with its defaults: objective ("lambdarank", "regression", "binary"),
                max_depth, grow_policy ("leafwise", "depthwise"), min_data_in_leaf, min_sum_hessian_in_leaf, lambda_l1,
                lambda_l2, min_gain_to_split, max_bin, min_data_in_bin, bin_construct_sample_cnt, feature_fraction,
                feature_fraction_bynode, bagging_fraction, bagging_freq, bagging_by_query, lambdarank_truncation_level,
                lambdarank_norm, label_gain, sigmoid, eval_at, is_provide_training_metric, early_stopping_rounds,
                categorical_feature (numbers of columns), max_cat_to_onehot, max_cat_threshold, cat_smooth, cat_l2,
                min_data_per_group, use_missing, zero_as_missing, monotone_constraints.

        Raises:
            InvalidArgument: Names the parameter, the row or the label.
        """
    @staticmethod
    def train_linear(X: numpy.typing.ArrayLike, y: numpy.typing.ArrayLike, group: numpy.typing.ArrayLike | None = None, *, objective: str = "ridge", weights: numpy.typing.ArrayLike | None = None, inverse_propensities: numpy.typing.ArrayLike | None = None, feature_names: collections.abc.Iterable[str] | None = None, schema: FeatureSchema | None = None, **parameters: object) -> Ranker:
        """
        Trains a weighted sum of the features. They are standardised first, and a missing value counts as the mean of its
        column.

        Args:
            objective: "ridge" (the labels themselves), "logistic", "pairwise" (the order of each query's rows, by logistic
                regression), or "coordinate" (coordinate ascent on nDCG itself).
            parameters: l2 (1.0), by_query (False; of "pairwise": whether each query counts the same); of "coordinate": k (10), gain ("exponential", "linear"), restarts, sweeps, tolerance, seed.

        The other arguments are those of `train`.
        """
    @property
    def training(self, /) -> Any | None:
        """
        How the model came to be, where that is known: library, parameters, curves (each metric after each tree, by names such
        as "valid ndcg@10") and metrics (of the model as it is).
        """

@final
class RunExplanation:
    """
    What one retriever thought of a document.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, run: str, rank: SupportsIndex | None, score: SupportsFloat | SupportsIndex | None, normalized: SupportsFloat | SupportsIndex | None, weight: SupportsFloat | SupportsIndex, contribution: SupportsFloat | SupportsIndex) -> RunExplanation: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def contribution(self, /) -> float:
        """
        What the run adds to the final score.
        """
    @property
    def normalized(self, /) -> float | None:
        """
        The score after normalisation, or 1 / (60 + rank).
        """
    @property
    def rank(self, /) -> int | None:
        """
        1-based rank of the document in the run; None: not among its candidates.
        """
    @property
    def run(self, /) -> str:
        """
        "dense" or "lexical".
        """
    @property
    def score(self, /) -> float | None:
        """
        Score of its best chunk there.
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """
    @property
    def weight(self, /) -> float:
        """
        Weight of the run.
        """

@final
class Served:
    """
    Which weight the ranker had for an answer, and why; docs/gate.md.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, epoch: SupportsIndex, weight: SupportsFloat | SupportsIndex | None, reason: str, experiment: str | None, variant: str | None, token: str | None) -> Served: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def epoch(self, /) -> int:
        """
        Number of the change of the gate that held.
        """
    @property
    def experiment(self, /) -> str | None:
        """
        The experiment that served, or "canary".
        """
    @property
    def reason(self, /) -> str:
        """
        "baseline", "experiment", "canary" or "killed".
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """
    @property
    def token(self, /) -> str | None:
        """
        For what becomes known later of an answer in a canary: `Gate.observe_quality`.
        """
    @property
    def variant(self, /) -> str | None:
        """
        The variant of it: of a canary "control" or "candidate".
        """
    @property
    def weight(self, /) -> float | None:
        """
        Weight of the ranker; None without a ranker.
        """

@final
class Stats:
    """
    Numbers about an engine.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, documents: SupportsIndex, documents_total: SupportsIndex, chunks_total: SupportsIndex, commit_seq: SupportsIndex, model: str, dimension: SupportsIndex, vector_backend: str, vectors: SupportsIndex, analyser: str, bytes_store: SupportsIndex, bytes_lexical: SupportsIndex, bytes_vectors: SupportsIndex, feature_cache_hits: SupportsIndex, feature_cache_misses: SupportsIndex, feature_cache_bytes: SupportsIndex) -> Stats: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def analyser(self, /) -> str:
        """
        What the lexical index does to words.
        """
    @property
    def bytes_lexical(self, /) -> int:
        """
        Bytes on disk: the lexical index.
        """
    @property
    def bytes_store(self, /) -> int:
        """
        Bytes on disk: the store.
        """
    @property
    def bytes_vectors(self, /) -> int:
        """
        Bytes on disk: sealed vectors.
        """
    @property
    def chunks_total(self, /) -> int:
        """
        Chunks of all tenants.
        """
    @property
    def commit_seq(self, /) -> int:
        """
        The last commit.
        """
    @property
    def dimension(self, /) -> int:
        """
        Values of a vector.
        """
    @property
    def documents(self, /) -> int:
        """
        Documents of the tenant.
        """
    @property
    def documents_total(self, /) -> int:
        """
        Documents of all tenants.
        """
    @property
    def feature_cache_bytes(self, /) -> int:
        """
        Bytes of the cache.
        """
    @property
    def feature_cache_hits(self, /) -> int:
        """
        Values asked of the cache of features that were there, since the engine was opened.
        """
    @property
    def feature_cache_misses(self, /) -> int:
        """
        Those that were not.
        """
    @property
    def model(self, /) -> str:
        """
        The model that made the vectors.
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """
    @property
    def vector_backend(self, /) -> str:
        """
        Backend of the dense retriever.
        """
    @property
    def vectors(self, /) -> int:
        """
        Vectors in the dense index, those of replaced documents included until compaction.
        """

@final
class UpsertReport:
    """
    What an upsert did; staged until the next commit.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, added: SupportsIndex, updated: SupportsIndex, unchanged: SupportsIndex, repeated: SupportsIndex, chunks: SupportsIndex, embedded: SupportsIndex, truncated: SupportsIndex) -> UpsertReport: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def added(self, /) -> int:
        """
        Documents that were not there.
        """
    @property
    def chunks(self, /) -> int:
        """
        Chunks of the added and updated documents.
        """
    @property
    def embedded(self, /) -> int:
        """
        Chunks that the model embedded; the others kept their vectors.
        """
    @property
    def repeated(self, /) -> int:
        """
        Documents that a later one of the same batch with the same id replaced.
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """
    @property
    def truncated(self, /) -> int:
        """
        Chunks of which the model saw only the beginning.
        """
    @property
    def unchanged(self, /) -> int:
        """
        Documents that were there just so; nothing was done.
        """
    @property
    def updated(self, /) -> int:
        """
        Documents that were there and differ.
        """

@final
class VectorIndex:
    """
    Vectors by id, to be searched from any number of threads while others add and remove. Searching is exact until `build`
    makes a graph.

    Args:
        dim: Values of a vector.
        metric: "cosine", "dot" or "l2" (the score is then minus the squared distance). Higher scores are nearer.
        m: Neighbours of a node of the graph, 2 to 256.
        ef_construction: Candidates while building the graph.
        quantization: None; "int8" is not there yet and raises Unsupported.
        threads: Of building and of searching many at once; 0 for as many as there are processors.
    """
    def __contains__(self, id: SupportsIndex, /) -> bool: ...
    def __len__(self, /) -> int: ...
    def __new__(cls, /, dim: int, metric: str = "cosine", m: int = 16, ef_construction: int = 200, quantization: str | None = None, threads: int = 0) -> VectorIndex: ...
    def __repr__(self, /) -> str: ...
    def add(self, /, ids: numpy.typing.ArrayLike, vectors: numpy.typing.ArrayLike) -> None:
        """
        Adds vectors; an id that has one gets the new one.

        Args:
            ids: n integers, 0 to 2⁶⁴ − 2, such as an array of uint64.
            vectors: An array of shape (n, dim); float32 in C order is read without a copy, so nobody may change it meanwhile.
        """
    def build(self, /) -> None:
        """
        Builds a graph over all vectors there are now; searches then take logarithmic instead of linear time and find most
        of the true neighbours. With less than 5,000 vectors searching stays exact.

        Raises:
            Unsupported: For a metric other than "cosine".
        """
    @property
    def dim(self, /) -> int:
        """
        Values of a vector.
        """
    @staticmethod
    def load(path: str | os.PathLike[str], mmap: bool = False, *, threads: int = 0) -> VectorIndex:
        """
        Reads what `save` wrote, and builds the graph again where there was one.

        Args:
            path: The file.
            mmap: Use the file in place; not there yet, so True raises Unsupported.
            threads: As of the class.
        """
    def remove(self, /, ids: numpy.typing.ArrayLike) -> int:
        """
        Takes vectors out; gives how many were there.
        """
    def save(self, /, path: str | os.PathLike[str]) -> None:
        """
        Writes everything to one file, whole or not at all.
        """
    def search(self, /, q: numpy.typing.ArrayLike, k: int = 10, ef: int = 64, allow: numpy.typing.ArrayLike | None = None, threads: int = 0) -> tuple[numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.float32]]:
        """
        The nearest vectors.

        Args:
            q: One vector, or an array of shape (n, dim); float32 in C order is read without a copy.
            k: Neighbours of each.
            ef: Candidates of a search in the graph; higher finds more of the true neighbours and takes longer.
            allow: Only these ids.
            threads: For several vectors; 0 for those of the index.

        Returns:
            ids (uint64) and scores (float32), best first. For one vector both have as many values as there are neighbours, at
            most k. For several they have the shape (n, k), and where there are fewer neighbours 2⁶⁴ − 1 and −inf.
        """

@final
class VerifyReport:
    """
    What `verify` found.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, documents: SupportsIndex, repaired: SupportsGetItem[int, str]) -> VerifyReport: ...
    def __reduce__(self, /) -> tuple[typing.Any, ...]: ...
    def __repr__(self, /) -> str: ...
    @property
    def documents(self, /) -> int:
        """
        Documents whose rows were read and agree.
        """
    @property
    def repaired(self, /) -> list[str]:
        """
        Derived pieces that were wrong and have been made again from the store.
        """
    def to_dict(self, /) -> dict[str, typing.Any]:
        """
        As a dictionary.
        """

def after_fork() -> None:
    """
    Called right after `os.fork`.
    """

def before_fork() -> None:
    """
    Called right before `os.fork`, which calls `after_fork` in the same thread, in parent and child.
    """

def error_kinds() -> list[tuple[str, str]]:
    """
    The name of every kind of error and of the class that is raised for it.
    """

def evaluate(qrels: collections.abc.Mapping[str, collections.abc.Mapping[str, int]], run: collections.abc.Mapping[str, collections.abc.Mapping[str, float]], metrics: collections.abc.Sequence[str], per_query: bool = False, *, missing: str = "zero") -> dict[str, typing.Any]:
    """
    Measures a run against judgments, as trec_eval does.

    Args:
        qrels: {query: {document: grade}}.
        run: {query: {document: score}}.
        metrics: Such as "ndcg@10", "ndcg_exp@10", "map", "mrr@10", "precision@5", "recall@100", "success@5", "judged@10".
        per_query: Whether to give the values of each query instead of the means.
        missing: What a judged query without an answer counts: "zero", as published figures have it, or "skip", as
            trec_eval and pytrec_eval do by default.

    Returns:
        {metric: mean}, or {query: {metric: value}} with per_query.
    """

def fuse(runs: collections.abc.Sequence[collections.abc.Mapping[str, collections.abc.Mapping[str, float]]], method: str | collections.abc.Mapping[str, object] | None = None, k: float | None = None, weights: collections.abc.Sequence[float] | None = None, normalization: str | None = None, *, sigma: float | None = None, gamma: float | None = None, phi: float | None = None) -> dict[str, dict[str, float]]:
    """
    Fuses runs; a run is {query: {document: score}}, higher scores are better.

    Args:
        runs: At least one.
        method: By ranks "rrf" (unless told), "isr", "log_isr", "logn_isr", "borda", "condorcet", "rbc"; by scores "sum" (also "convex":
            weights make it one), "mnz", "anz", "max", "min", "med", "gmnz", "wmnz", "mixed". docs/fusion.md has the formulas.
            Or what `learn_fusion` gave, and then nothing else, for the runs in the same order.
        k: The constant of "rrf"; 60 unless told.
        weights: One for each run; None for 1 each.
        normalization: Of methods by scores: "min_max" (the default), "max", "sum", "z_score", "rank", "borda", "dbsf", "l2",
            "sigmoid", "none", or "min_max_inverted" where lower scores are better.
        sigma: Of "logn_isr"; 0.01 unless told.
        gamma: Of "gmnz".
        phi: Of "rbc".

    Returns:
        A run, each query with its documents best first; equal scores by the first run that has the document, then by id.
    """

def learn_fusion(runs: collections.abc.Sequence[collections.abc.Mapping[str, collections.abc.Mapping[str, float]]], qrels: collections.abc.Mapping[str, collections.abc.Mapping[str, int]], method: str, *, normalization: str | None = None, weights: collections.abc.Sequence[float] | None = None, segments: int | None = None, width: int | None = None, gamma: float | None = None) -> dict[str, typing.Any]:
    """
    Learns from judgments how far each run can be trusted; documents without a judgment count as not relevant.

    Args:
        runs: At least one; their answers to judged queries.
        qrels: {query: {document: grade}}, grades of 1 and more are relevant.
        method: "bayes_fuse", "map_fuse", "pos_fuse", "prob_fuse", "seg_fuse" or "slide_fuse"; or one that `fuse` has, by
            scores, with a normalization that is learnt. docs/fusion.md has the formulas.
        normalization: Of methods by scores: "platt" or "isotonic" for the probability of being relevant, or as for `fuse`, but
            "min_max_inverted".
        weights: One for each run; None for 1 each.
        segments: Of "prob_fuse", the number of parts that answers are cut into; 20 unless told.
        width: Of "slide_fuse", ranks to each side; 5 unless told.
        gamma: Of "gmnz".

    Returns:
        A dictionary that `fuse` takes as its method and that can be kept as JSON.
    """
