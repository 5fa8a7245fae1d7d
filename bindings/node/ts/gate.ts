import { call, now, pathOf } from "./call";
import { expect, expectAll, given } from "./errors";
import * as native from "./native";

/** Who changes a gate, and why: it is written down before the change holds. */
export interface GateChange {
  /** A person or a program. */
  author: string;
  /** In a sentence. */
  reason: string;
  /** Where it is discussed: a link, or a number. */
  issue?: string | null | undefined;
  /** Refuse with `conflict` when the gate is at another epoch. */
  expect?: number | null | undefined;
}

/** A weight, and its part of an experiment's traffic. */
export interface Variant {
  name: string;
  /** 0 to 1. */
  weight: number;
  /** Only the proportions count; 1 unless told. */
  part?: number;
}

/** A named experiment: a share of the traffic that gets weights of its own. Names are as in its JSON. */
export interface Experiment {
  name: string;
  variants: readonly Variant[];
  /** Share of the group's traffic; 1 unless told. */
  share?: number;
  /** What stays in its bucket; the user unless told. */
  unit?: "user" | "query";
  /** Nobody is in two experiments of one group. */
  group?: string;
  /** Compute the variants beside what is served, and serve none of them. */
  shadow?: boolean;
}

/** A harm that must not be promoted. */
export interface Guardrail {
  metric: "p95_latency" | "error_rate" | "cache_hit_rate" | "empty_rate" | "quality";
  margin: { absolute: number } | { relative: number };
}

/** How a weight comes to serve everyone; all but the weight has a default. Names are as `rag canary plan` prints them. */
export interface RampPlan {
  weight: number;
  steps?: readonly number[];
  min_samples?: number;
  max_samples?: number;
  min_seconds?: number;
  max_seconds?: number;
  guardrails?: readonly Guardrail[];
  alpha?: number;
}

/** What holds. Names are as in its JSON. */
export interface GateState {
  /** Number of the last change. */
  epoch: number;
  /** The weight of all who are in no experiment; null: that of the ranker. */
  weight: number | null;
  killed: boolean;
  experiments: Experiment[];
  canary: { status: string; weight: number; share: number; plan: RampPlan } | null;
  changed: { author: string; reason: string; issue?: string; at_us: number } | null;
}

/** A guardrail of a canary, as far as it was seen. */
export interface Reading {
  guardrail: Guardrail["metric"];
  control: { n: number; mean: number };
  candidate: { n: number; mean: number };
  difference: number | null;
  lower: number | null;
  upper: number | null;
  margin: number | null;
  verdict: "too_few" | "undecided" | "harmful" | "tolerable";
}

/** What holds, and what was seen of the requests. */
export interface GateStatus extends GateState {
  /** Fingerprint of the key of the buckets. */
  key: string;
  guardrails: Reading[];
  shadows: Record<string, { requests: number; overlap: number; rbo: number; first_differs: number }>;
}

/** One change, and what held from then on. */
export interface GateRecord extends GateState {
  action: unknown;
  weight_before: number | null;
  key: string;
}

/** What holds for a request. */
export interface Assignment {
  epoch: number;
  /** null: that of the ranker. */
  weight: number | null;
  reason: "baseline" | "experiment" | "canary" | "killed";
  experiment: string | null;
  variant: string | null;
  /** For `observe` and `observeQuality`; null outside of a canary. */
  token: string | null;
}

/** What became of a request. */
export interface Observation {
  latencyUs?: number | null | undefined;
  error?: boolean | null | undefined;
  cacheHit?: number | null | undefined;
  empty?: boolean | null | undefined;
  quality?: number | null | undefined;
}

/**
 * The weight of the ranker of a data folder, changed and watched while searches run; docs/gate.md says who gets which weight.
 * Every change has an author and a reason, and is durable before it holds.
 */
export class Gate {
  readonly #native: native.Gate;

  /** @internal */
  constructor(inner: native.Gate) {
    this.#native = inner;
  }

  /**
   * The gate of a data folder, which may be open elsewhere. With an engine at hand take `engine.gate`. `keyFile`: the secret
   * that buckets follow from (`engine.gate.key_file`); that of the folder unless told.
   */
  static async open(path: string | URL, { keyFile }: { keyFile?: string | URL | null | undefined } = {}): Promise<Gate> {
    return new Gate(await call({}, () => native.Gate.open(pathOf(path), pathOf(keyFile))));
  }

  /** What holds on disk, and what was seen of the requests. */
  async status(): Promise<GateStatus> {
    return JSON.parse(await call({}, () => this.#native.status()));
  }

  /** All changes, the first one first. */
  async records(): Promise<GateRecord[]> {
    return JSON.parse(await call({}, () => this.#native.records()));
  }

  /** Gives the ranker another weight, 0 to 1, for all who are in no experiment. */
  async setWeight(weight: number, change: GateChange): Promise<GateState> {
    expect("weight", weight, "number", false);
    return this.#changed(change, (checked) => this.#native.setWeight(weight, checked));
  }

  /** The weight 0 for everyone, and the end of a canary under way. */
  async kill(change: GateChange): Promise<GateState> {
    return this.#changed(change, (checked) => this.#native.kill(checked));
  }

  /** Weight and experiments as before `kill`. */
  async revive(change: GateChange): Promise<GateState> {
    return this.#changed(change, (checked) => this.#native.revive(checked));
  }

  /** Begins an experiment. */
  async startExperiment(experiment: Experiment, change: GateChange): Promise<GateState> {
    expect("experiment", experiment, "object", false);
    return this.#changed(change, (checked) => this.#native.startExperiment(JSON.stringify(experiment), checked));
  }

  /** Ends an experiment. */
  async endExperiment(name: string, change: GateChange): Promise<GateState> {
    expect("name", name, "string", false);
    return this.#changed(change, (checked) => this.#native.endExperiment(name, checked));
  }

  /** Lets a weight, or a plan, earn its traffic step by step; harm takes it back. */
  async startCanary(plan: number | RampPlan, change: GateChange): Promise<GateState> {
    if (typeof plan !== "number") expect("plan", plan, "object", false);
    return this.#changed(change, (checked) => this.#native.startCanary(JSON.stringify(plan), checked));
  }

  /** Gives a paused canary the samples and the time of its step once more. */
  async resumeCanary(change: GateChange): Promise<GateState> {
    return this.#changed(change, (checked) => this.#native.resumeCanary(checked));
  }

  /** Ends the canary: nobody gets its weight any more. */
  async abortCanary(change: GateChange): Promise<GateState> {
    return this.#changed(change, (checked) => this.#native.abortCanary(checked));
  }

  /** What holds for a request; `search` asks this itself. */
  assign(user: string | null = null, query = ""): Assignment {
    expect("user", user, "string");
    expect("query", query, "string", false);
    return JSON.parse(now(() => this.#native.assign(user ?? undefined, query)));
  }

  /** Tells the canary what became of a request that `assign` gave a token; of its own searches an engine tells it itself. */
  observe(token: string, seen: Observation = {}): void {
    expect("token", token, "string", false);
    expectAll(seen, { latencyUs: "number", error: "boolean", cacheHit: "number", empty: "boolean", quality: "number" });
    const { latencyUs, error, cacheHit, empty, quality } = seen;
    now(() => this.#native.observe(token, given({ latencyUs, error, cacheHit, empty, quality }) as native.GateObservation));
  }

  /**
   * Tells the canary the quality of an answer, 0 to 1: a click or none. `token` is that of the answer's `gate`; none, which answers
   * outside of a canary have, is fine and counts nothing.
   */
  observeQuality(token: string | null | undefined, quality: number): void {
    expect("token", token, "string");
    expect("quality", quality, "number", false);
    if (token != null) now(() => this.#native.observeQuality(token, quality));
  }

  /** Does what is due: lets the canary decide and saves what was seen. An engine does so itself once a second while it answers. */
  async tick(): Promise<void> {
    return call({}, () => this.#native.tick());
  }

  async #changed(change: GateChange, work: (checked: native.GateChange) => Promise<string>): Promise<GateState> {
    expect("change", change, "object", false);
    const { author, reason, issue, expect: epoch } = change;
    expect("author", author, "string", false);
    expect("reason", reason, "string", false);
    expectAll(change, { issue: "string", expect: "number" });
    const checked = given({ author, reason, issue, expect: epoch }) as native.GateChange;
    return JSON.parse(await call({}, () => work(checked)));
  }
}
