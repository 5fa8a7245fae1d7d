import { countsOf, floatsOf, Matrix, matrixOf, NumberList } from "./arrays";
import { asked, call, CallOptions, now, pathOf, under } from "./call";
import { expect, expectAll, expectStrings, given } from "./errors";
import * as native from "./native";
import { settingsOf } from "./names";
import { FeatureSchema } from "./schema";

/** Rows to learn from. */
export interface TrainingRows {
  /** The features of each row. The rows of a query stand together. */
  X: Matrix;
  /** Values of a row; needed where `X` is a Float32Array. */
  columns?: number | null | undefined;
  /** One for each row: for a ranking the grade of the document, a whole number from 0 on; higher is better. */
  y: NumberList;
  /** How many rows each query has, in their order. Objectives that do not rank need none. */
  group?: NumberList | null | undefined;
  /** What each row counts; 1 each unless told. */
  weights?: NumberList | null | undefined;
  /** Where grades are clicks: one for each row, 1 divided by the chance that it was looked at. */
  inversePropensities?: NumberList | null | undefined;
}

/** What a model is told of its features. */
export interface FeatureNames {
  /** One name for each column. */
  featureNames?: readonly string[] | null | undefined;
  /** What the columns are; the model then says that it was made for it, and splits its categories as such. */
  schema?: FeatureSchema | null | undefined;
}

/** How far a training is. */
export interface TrainingProgress {
  /** Trees grown. */
  iteration: number;
  /** Trees asked for. */
  numTrees: number;
  /** Each metric by its name, such as "valid ndcg@10". */
  metrics: Record<string, number>;
}

/** How trees are grown: LightGBM's parameters with its meanings and its defaults, which are in brackets. */
export interface TreeParameters {
  /** What is learnt: the order of each query's documents, the labels themselves, or the chance of the label 1 ["lambdarank"]. */
  objective?: "lambdarank" | "regression" | "binary" | null | undefined;
  /** Trees [100]. */
  numTrees?: number | null | undefined;
  /** What the answer of each tree is multiplied with [0.1]. */
  learningRate?: number | null | undefined;
  /** Most leaves of a tree [31]. */
  numLeaves?: number | null | undefined;
  /** Most splits between root and leaf; 0 and less: no limit [-1]. */
  maxDepth?: number | null | undefined;
  /** Which leaf is split next: that of the largest gain, or that nearest to the root ["leafwise"]. */
  growPolicy?: "leafwise" | "depthwise" | null | undefined;
  /** Fewest rows of a leaf [20]. */
  minDataInLeaf?: number | null | undefined;
  /** Smallest sum of second derivatives of a leaf [0.001]. */
  minSumHessianInLeaf?: number | null | undefined;
  /** L1 regularisation [0]. */
  lambdaL1?: number | null | undefined;
  /** L2 regularisation [0]. */
  lambdaL2?: number | null | undefined;
  /** Smallest gain of a split [0]. */
  minGainToSplit?: number | null | undefined;
  /** Most bins of a feature [255]. */
  maxBin?: number | null | undefined;
  /** Fewest rows of a bin [3]. */
  minDataInBin?: number | null | undefined;
  /** Rows that the bins are made from [200,000]. */
  binConstructSampleCnt?: number | null | undefined;
  /** Share of the features that a tree may use [1]. */
  featureFraction?: number | null | undefined;
  /** Share of those that a node may use [1]. */
  featureFractionBynode?: number | null | undefined;
  /** Share of the rows that a tree is grown from [1]. */
  baggingFraction?: number | null | undefined;
  /** After how many trees other rows are picked; 0: never [0]. */
  baggingFreq?: number | null | undefined;
  /** Whether whole queries are picked [false]. */
  baggingByQuery?: boolean | null | undefined;
  /** Pairs count that have a document among the first so many [30]. */
  lambdarankTruncationLevel?: number | null | undefined;
  /** Whether the pairs are weakened by their distance, and the sum of each query is dampened [true]. */
  lambdarankNorm?: boolean | null | undefined;
  /** Gain of each grade, from 0 on [2^grade − 1]. */
  labelGain?: readonly number[] | null | undefined;
  /** Steepness of the sigmoid [1]. */
  sigmoid?: number | null | undefined;
  /** Cutoffs of nDCG in the learning curve; early stopping watches the first [[10]]. */
  evalAt?: readonly number[] | null | undefined;
  /** Whether the learning curve has the metric of the training too [true]. */
  isProvideTrainingMetric?: boolean | null | undefined;
  /** The training ends when the validation has not become better for so many trees; 0: never [0]. */
  earlyStoppingRounds?: number | null | undefined;
  /** Columns whose values are categories [those of the schema]. */
  categoricalFeature?: readonly number[] | null | undefined;
  /** Most categories that are tried one against the rest [4]. */
  maxCatToOnehot?: number | null | undefined;
  /** Most categories on one side of a split [32]. */
  maxCatThreshold?: number | null | undefined;
  /** Smoothing of a category's mean [10]. */
  catSmooth?: number | null | undefined;
  /** L2 regularisation of splits of categories [10]. */
  catL2?: number | null | undefined;
  /** Fewest rows of a group of categories [100]. */
  minDataPerGroup?: number | null | undefined;
  /** Whether NaN is a value of its own; otherwise it is 0 [true]. */
  useMissing?: boolean | null | undefined;
  /** Whether 0 is missing too [false]. */
  zeroAsMissing?: boolean | null | undefined;
  /** One for each column: 1 where the score may not fall when the value rises, −1 where it may not rise, else 0 [none]. */
  monotoneConstraints?: readonly (-1 | 0 | 1)[] | null | undefined;
  /** What every random choice follows from; the same at any number of threads [0]. */
  seed?: number | bigint | null | undefined;
  /** Threads that work; 0: as many as there are processors [0]. */
  threads?: number | null | undefined;
}

/** A training of trees. */
export interface TrainOptions extends TrainingRows, FeatureNames, TreeParameters, CallOptions {
  /** Rows that are not learnt from: the curve shows how well the model ranks them, and early stopping watches it. */
  valid?: TrainingRows | null | undefined;
  /** Called after each tree; the next one waits for it. With `false` the training ends with the trees that there are. */
  onProgress?: ((progress: TrainingProgress) => boolean | void) | null | undefined;
}

/** A training of a weighted sum of the features. */
export interface LinearOptions extends TrainingRows, FeatureNames, CallOptions {
  /**
   * What is learnt: the labels ("ridge", unless told), a chance, for labels from 0 to 1 ("logistic"), which of two documents
   * is better ("pairwise"), or nDCG itself, by coordinate ascent ("coordinate").
   */
  objective?: "ridge" | "logistic" | "pairwise" | "coordinate" | null | undefined;
  /** L2 regularisation, of all but "coordinate" [1]. */
  l2?: number | null | undefined;
  /** Of "pairwise": whether each query counts the same, whatever the number of its pairs [false]. */
  byQuery?: boolean | null | undefined;
  /** Of "coordinate": the cutoff [10]. */
  k?: number | null | undefined;
  /** Of "coordinate": the gain of a grade, 2^grade − 1 or the grade itself ["exponential"]. */
  gain?: "exponential" | "linear" | null | undefined;
  /** Of "coordinate": from how many places it starts [5]. */
  restarts?: number | null | undefined;
  /** Of "coordinate": most rounds over all features from one start [25]. */
  sweeps?: number | null | undefined;
  /** Of "coordinate": a round that gains no more than this is the last [0.0001]. */
  tolerance?: number | null | undefined;
  /** Of "coordinate": what every random choice follows from [0]. */
  seed?: number | bigint | null | undefined;
}

/** How a ranker is written. */
export interface SaveOptions {
  /** "rag", our own, with schema and training, or "lightgbm", the text that LightGBM reads; "rag" unless told. */
  format?: "rag" | "lightgbm" | null | undefined;
}

/** How rows are read. */
export interface RowOptions {
  /** Values of a row, where `X` is a Float32Array; those that the model reads unless told. */
  columns?: number | null | undefined;
}

/** How a model came to be. */
export interface Training {
  /** The library that trained, with its version. */
  library: string;
  /** The parameters, by LightGBM's names. */
  parameters: Record<string, unknown>;
  /** Metrics after each tree, by names such as "valid ndcg@10". */
  curves: Record<string, number[]>;
  /** Metrics of the model. */
  metrics: Record<string, number>;
  /**
   * Why there are no more trees: all are grown, `onProgress` ended it, the rows of `valid` are ranked no better, or no split
   * improves anything. null for weighted sums, and where it is not known.
   */
  end: "complete" | "stopped" | "not_better" | "nothing_to_split" | null;
}

/** Rows that are scored on a thread of their own: others would wait for them. */
const MANY = 1000;

/** Makes the class around what the native part gives. */
export let rankerOf: (inner: native.Ranker) => Ranker;

/** A model that ranks: trees, or a weighted sum. It is never changed. */
export class Ranker {
  /** @internal */
  readonly native: native.Ranker;

  static {
    rankerOf = (inner) => new Ranker(inner);
  }

  private constructor(inner: native.Ranker) {
    this.native = inner;
  }

  /** Reads a model: a file of our own, of LightGBM (text, JSON) or of XGBoost (JSON, UBJSON); its first bytes say which. */
  static async load(path: string | URL): Promise<Ranker> {
    return new Ranker(await call({}, () => native.Ranker.load(pathOf(path))));
  }

  /** As `load`, from the bytes of a file. */
  static async fromBytes(bytes: Uint8Array): Promise<Ranker> {
    expect("bytes", bytes, Uint8Array, false);
    return new Ranker(await call({}, () => native.Ranker.fromBytes(bytes)));
  }

  /** Trains trees by LambdaMART, away from the event loop. Aborted, it stops after the tree that it grows. */
  static async train(options: TrainOptions): Promise<Ranker> {
    expectAll(options, { onProgress: "function", valid: "object" });
    const { onProgress, valid, signal } = options;
    const how = argumentsOf(options);
    let thrown: { error: unknown } | undefined;
    const step = (step: native.TrainingStep) => {
      let goesOn = false;
      try {
        goesOn = onProgress?.(progressOf(step)) !== false;
      } catch (error) {
        thrown = { error };
      }
      step.reply(goesOn);
    };
    try {
      const inner = await under(options, async (cancel) => {
        const rows = await rowsOf(options, "", signal);
        const others = valid ? await rowsOf(valid, "valid.", signal) : undefined;
        return asked(() => native.Ranker.train(rows, others, how, onProgress ? step : undefined, cancel));
      });
      if (!thrown) return new Ranker(inner);
    } catch (error) {
      thrown ??= { error };
    }
    throw thrown.error;
  }

  /** Trains a weighted sum of the features, away from the event loop. */
  static async trainLinear(options: LinearOptions): Promise<Ranker> {
    const how = argumentsOf(options);
    const inner = await under(options, async (cancel) => {
      const rows = await rowsOf(options, "", options.signal);
      return asked(() => native.Ranker.trainLinear(rows, how, cancel));
    });
    return new Ranker(inner);
  }

  /** Writes the model to one file, whole or not at all. */
  async save(path: string | URL, { format }: SaveOptions = {}): Promise<void> {
    expect("format", format, "string");
    return call({}, () => this.native.save(pathOf(path), format));
  }

  /** The bytes of the file that `save` writes. */
  async toBytes({ format }: SaveOptions = {}): Promise<Uint8Array> {
    expect("format", format, "string");
    return call({}, () => this.native.toBytes(format));
  }

  /** The score of each row: what the library of the model answers when it predicts. */
  async score(X: Matrix, options: RowOptions = {}): Promise<Float64Array> {
    return this.#scored(X, options, false);
  }

  /** The margin of each row: the sum before the objective's link, which ranks the same. */
  async margin(X: Matrix, options: RowOptions = {}): Promise<Float64Array> {
    return this.#scored(X, options, true);
  }

  /**
   * What each feature adds to the margin of each row: exact SHAP values, row after row. With `expected`, what the model answers
   * when no feature is known, those of a row add up to its margin.
   */
  async explain(X: Matrix, options: RowOptions = {}): Promise<native.Explained> {
    const { x, columns } = await this.#rows(X, options);
    return call({}, () => this.native.explain(x, columns));
  }

  /** Features of a row. */
  get numFeatures(): number {
    return this.native.numFeatures;
  }

  /** Trees; null for a weighted sum. */
  get numTrees(): number | null {
    return this.native.numTrees;
  }

  /** The names of the features; none where the model has none. */
  get featureNames(): string[] {
    return this.native.featureNames;
  }

  /**
   * How much the model uses each feature: for trees the "gain" of its splits (unless told) or how many there are ("split"); for a
   * weighted sum its "weight".
   */
  featureImportance(kind?: "gain" | "split" | "weight" | null): Float64Array {
    expect("kind", kind, "string");
    return now(() => this.native.featureImportance(kind));
  }

  /** How the model came to be; null where its file does not say. */
  get training(): Training | null {
    const { training } = this.native;
    return training === null ? null : (JSON.parse(training) as Training);
  }

  /** The `id` of the schema that the model was made for; null where it does not say. */
  get schema(): string | null {
    return this.native.schema;
  }

  async #scored(X: Matrix, options: RowOptions, isMargin: boolean): Promise<Float64Array> {
    const { x, columns, rows } = await this.#rows(X, options);
    const isMany = rows > MANY;
    return call({}, () => this.native[isMany ? "scoreMany" : "score"](x, columns, isMargin));
  }

  #rows(X: Matrix, { columns }: RowOptions) {
    expect("columns", columns, "number");
    return matrixOf("X", X, columns ?? (X instanceof Float32Array || X?.length === 0 ? this.numFeatures : undefined));
  }
}

/** What is no parameter of the training itself. */
const OTHERS = ["X", "columns", "y", "group", "weights", "inversePropensities", "valid", "featureNames", "schema", "signal", "timeoutMs", "onProgress"];

function argumentsOf(options: FeatureNames): native.TrainingArguments {
  const { featureNames, schema } = options;
  if (featureNames != null) expectStrings("featureNames", featureNames);
  expect("schema", schema, FeatureSchema);
  const own = Object.entries(options).filter(([name]) => !OTHERS.includes(name));
  const parameters = settingsOf("options", Object.fromEntries(own));
  const names = featureNames ? [...featureNames] : undefined;
  return given({ parameters, names, schema: schema?.native }) as native.TrainingArguments;
}

async function rowsOf(given: TrainingRows, prefix: string, signal?: AbortSignal | null): Promise<native.TrainingRows> {
  expect(`${prefix}columns`, given.columns, "number");
  const { x, columns } = await matrixOf(`${prefix}X`, given.X, given.columns, signal);
  const y = await floatsOf(`${prefix}y`, given.y, signal);
  const group = await countsOf(`${prefix}group`, given.group ?? [], signal);
  const optional = (name: "weights" | "inversePropensities") => {
    const values = given[name];
    return values == null ? undefined : floatsOf(`${prefix}${name}`, values, signal);
  };
  const [weights, inversePropensities] = [await optional("weights"), await optional("inversePropensities")];
  return { x, columns, y, group, ...(weights && { weights }), ...(inversePropensities && { inversePropensities }) };
}

function progressOf({ iteration, numTrees, metrics }: native.TrainingStep): TrainingProgress {
  return { iteration, numTrees, metrics: Object.fromEntries(metrics.map(({ name, value }) => [name, value])) };
}
