/** Record words by name in WGSL. */
import type { Wgsl, WgslBody } from "./body.ts";

/** Reads words by their names; `names[i]` is the name of argument i. Throws RangeError for another name. */
export function namedWords<const N extends string>(body: WgslBody, names: readonly N[]): (name: N) => Wgsl {
  return (name) => {
    const index = names.indexOf(name);
    if (index < 0) throw new RangeError(`the record has no word ${name}`);
    return body.word(index);
  };
}
