import { now } from "./call";
import { expect, expectStrings } from "./errors";
import * as native from "./native";

/** What the values of a feature are: numbers with an order, 0 or 1, or whole numbers from 0 on that only name something. */
export type FeatureKind = "numeric" | "boolean" | "categorical";

/** What a schema says beside the names. */
export interface SchemaOptions {
  /** One for each name; "numeric" each unless told. */
  kinds?: readonly FeatureKind[] | null | undefined;
  /** What the values of each depend on besides the data, in short text or null, such as a list of values. */
  meanings?: readonly (string | null)[] | null | undefined;
  /** The caller's count of schemas; 1 unless told. */
  version?: number | null | undefined;
}

/** Makes the class around what the native part gives. */
export let schemaOf: (inner: native.FeatureSchema) => FeatureSchema;

/** The features of a row, in order. Models say by its `id` which one they were made for. */
export class FeatureSchema {
  /** @internal */
  readonly native: native.FeatureSchema;

  static {
    schemaOf = (inner) => new FeatureSchema(inner as never);
  }

  constructor(names: readonly string[], { kinds, meanings, version }: SchemaOptions = {}) {
    const made = names as unknown;
    if (made instanceof native.FeatureSchema) {
      this.native = made;
      return;
    }
    expectStrings("names", names);
    if (kinds != null) expectStrings("kinds", kinds);
    if (meanings != null) {
      expectStrings("meanings", Array.isArray(meanings) ? meanings.map((meaning: unknown) => meaning ?? "") : meanings);
    }
    expect("version", version, "number");
    this.native = now(
      () => new native.FeatureSchema([...names], kinds ? [...kinds] : undefined, meanings && [...meanings], version ?? 1),
    );
  }

  /** The caller's count of schemas. */
  get version(): number {
    return this.native.version;
  }

  /** The names of the features, in order. */
  get names(): string[] {
    return this.native.names;
  }

  /** What the values of each are. */
  get kinds(): FeatureKind[] {
    return this.native.kinds as FeatureKind[];
  }

  /** What the values of each depend on besides the data; null where nothing can be set. */
  get meanings(): (string | null)[] {
    return this.native.meanings.map((meaning) => meaning ?? null);
  }

  /** Of names, kinds and meanings in their order, as 64 hexadecimal digits. */
  get hash(): string {
    return this.native.hash;
  }

  /** Version and the first digits of the hash, such as "v3:ab12cd34ef56". */
  get id(): string {
    return this.native.id;
  }
}
