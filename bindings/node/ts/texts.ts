import { Turn } from "./call";
import { translated } from "./errors";
import * as native from "./native";

/** Texts, and characters of texts, that are converted at once. */
const STEP = { texts: 1024, characters: 1 << 20 };

/** Texts from position `start` on, few enough to be converted at once. */
export function step(texts: readonly string[], start: number): string[] {
  let [end, characters] = [start, 0];
  while (end < texts.length && end - start < STEP.texts && characters < STEP.characters) {
    characters += texts[end++]?.length ?? 0;
  }
  return texts.slice(start, end);
}

/** Hands texts over and calls with them; the event loop has its turn meanwhile. */
export async function withTexts<T>(texts: readonly string[], work: (given: native.Texts) => Promise<T>): Promise<T> {
  const [given, turn] = [new native.Texts(), new Turn()];
  try {
    for (let at = 0; at < texts.length; ) {
      const part = step(texts, at);
      given.extend(part);
      at += part.length;
      if (turn.isOver) await turn.pass();
    }
    return await work(given);
  } catch (error) {
    throw translated(error);
  }
}

/** The texts of an answer. */
export async function textsOf(given: native.Texts): Promise<string[]> {
  const [texts, turn] = [[] as string[], new Turn()];
  for (let part; (part = given.next()).length > 0; ) {
    texts.push(...part);
    if (turn.isOver) await turn.pass();
  }
  return texts;
}
