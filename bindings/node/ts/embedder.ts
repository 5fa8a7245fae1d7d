import { asked, call, CallOptions, now, pathOf, Turn, under } from "./call";
import { expectAll, expectStrings, given } from "./errors";
import * as native from "./native";
import { step } from "./texts";

/** How a model is loaded. What is not given is as the model's own files say. */
export interface LoadOptions {
  /** Where it computes: "cpu", "cuda", "cuda:1" or "metal". */
  device?: string | null | undefined;
  /** Text put before every query. */
  queryPrompt?: string | null | undefined;
  /** Text put before every document. */
  documentPrompt?: string | null | undefined;
  /** Most tokens of a text, special tokens included. */
  maxTokens?: number | null | undefined;
}

/** How texts are embedded. */
export interface EncodeOptions extends CallOptions {
  /** Some models put different words before the two; "document" unless told. */
  kind?: "document" | "query" | null | undefined;
  /** About how many tokens go through the model at once, where it computes in batches. */
  batchTokens?: number | null | undefined;
  /** Told from time to time how many of the texts are done. */
  onProgress?: ((done: number, total: number) => void) | null | undefined;
}

/** Vectors of texts. */
export interface Encoded {
  /** Row after row; rows have length 1, or are zeros for a text without a known word. */
  data: Float32Array;
  /** Number of vectors. */
  rows: number;
  /** Values of a vector. */
  dimension: number;
}

/** A model that turns texts into vectors. */
export class Embedder {
  /** @internal */
  readonly native: native.Embedder;

  private constructor(inner: native.Embedder) {
    this.native = inner;
  }

  /**
   * Loads a model, offline: a sentence-transformers folder (config.json, tokenizer.json, model.safetensors) or a static model
   * file; without a path, the bundled model.
   */
  static async load(path?: string | URL | null, options: LoadOptions = {}): Promise<Embedder> {
    expectAll(options, { device: "string", queryPrompt: "string", documentPrompt: "string", maxTokens: "number" });
    const { device, queryPrompt, documentPrompt, maxTokens } = options;
    const how = given({ device, queryPrompt, documentPrompt, maxTokens }) as native.LoadArguments;
    return new Embedder(await call({}, () => native.Embedder.load(pathOf(path), how)));
  }

  /** Embeds texts. */
  async encode(texts: readonly string[], options: EncodeOptions = {}): Promise<Encoded> {
    expectStrings("texts", texts);
    expectAll(options, { kind: "string", batchTokens: "number", onProgress: "function" });
    const { kind, batchTokens, onProgress } = options;
    const { dimension } = this;
    return under(options, async (cancel) => {
      const [parts, turn] = [[] as Float32Array[], new Turn()];
      for (let done = 0; done === 0 || done < texts.length; ) {
        const part = step(texts, done);
        parts.push(await asked(() => this.native.encode(part, kind, batchTokens, cancel)));
        done += part.length;
        onProgress?.(done, texts.length);
        if (part.length === 0) break;
      }
      const [only] = parts;
      if (only && parts.length === 1) return { data: only, rows: texts.length, dimension };
      const data = new Float32Array(texts.length * dimension);
      for (let at = 0, next; (next = parts.shift()); at += next.length) {
        data.set(next, at);
        if (turn.isOver) await turn.pass();
      }
      return { data, rows: texts.length, dimension };
    });
  }

  /** Values of a vector. */
  get dimension(): number {
    return now(() => this.native.dimension);
  }

  /** Most tokens of a document that reach the model; undefined: no limit. */
  get maxTokens(): number | undefined {
    return now(() => this.native.maxTokens ?? undefined);
  }

  /** Which model this is, in words. */
  get name(): string {
    return now(() => this.native.name);
  }
}
