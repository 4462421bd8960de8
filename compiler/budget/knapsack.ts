/**
 * Multiple-choice knapsack: one choice for every item, least summed error within a number of bytes. Exact (Pareto fronts
 * over the items with Lagrangian bounds) unless a front outgrows `frontLimit`, where it continues on a coarse byte grid.
 * The result does not depend on the order of an item's choices, unless two are equal.
 */
export interface Choice {
  readonly bytes: number;
  readonly error: number;
}

/** States kept per item; beyond it, the best one of each of this many byte intervals. */
const frontLimit = 8192;

/** The index of the chosen choice of each item; undefined when even the smallest choices exceed `capacity`. */
export function solveKnapsack(items: readonly (readonly Choice[])[], capacity: number): readonly number[] | undefined {
  const sorted = items.map(sortedChoices);
  const smallest = sorted.map(([first]) => (first as IndexedChoice).bytes);
  if (sum(smallest) > capacity) return undefined;
  const greedy = climbHulls(sorted, capacity);
  const best = improve(sorted, capacity, greedy);
  return best.map((at, item) => choiceAt(sorted, item, at).index);
}

interface IndexedChoice extends Choice {
  readonly index: number;
}

interface Greedy {
  /** Index into each item's sorted choices. */
  readonly picks: readonly number[];
  /** Error per byte at which the bytes ran out: the Lagrangian multiplier. */
  readonly slope: number;
}

const choiceAt = (items: readonly (readonly IndexedChoice[])[], item: number, at: number): IndexedChoice =>
  (items[item] as readonly IndexedChoice[])[at] as IndexedChoice;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** By bytes, without those that cost more bytes for no less error. */
function sortedChoices(choices: readonly Choice[]): readonly IndexedChoice[] {
  const sorted = choices
    .map(({ bytes, error }, index) => ({ bytes, error, index }))
    .sort((left, right) => left.bytes - right.bytes || left.error - right.error || left.index - right.index);
  const kept: IndexedChoice[] = [];
  for (const choice of sorted) if (choice.error < (kept.at(-1)?.error ?? Infinity)) kept.push(choice);
  return kept;
}

/** Steps along the lower convex hull of one item's choices, each with the error it saves per byte, falling. */
function hullSteps(choices: readonly IndexedChoice[]): readonly { readonly to: number; readonly slope: number }[] {
  const steps: { readonly to: number; readonly slope: number }[] = [];
  for (let from = 0; from < choices.length - 1; ) {
    let best = { to: from + 1, slope: -Infinity };
    for (let to = from + 1; to < choices.length; to++) {
      const [a, b] = [choices[from] as IndexedChoice, choices[to] as IndexedChoice];
      const slope = (a.error - b.error) / (b.bytes - a.bytes);
      if (slope >= best.slope) best = { to, slope };
    }
    steps.push(best);
    from = best.to;
  }
  return steps;
}

/** From the smallest choices up, the steepest step first; steps that do not fit are left out. */
function climbHulls(items: readonly (readonly IndexedChoice[])[], capacity: number): Greedy {
  const steps = items
    .flatMap((choices, item) => hullSteps(choices).map((step) => ({ item, ...step })))
    .sort((left, right) => right.slope - left.slope || left.item - right.item || left.to - right.to);
  const picks = items.map(() => 0);
  let left = capacity - sum(items.map(([first]) => (first as IndexedChoice).bytes));
  let slope: number | undefined;
  for (const step of steps) {
    const choices = items[step.item] as readonly IndexedChoice[];
    const now = choices[picks[step.item] as number] as IndexedChoice;
    const then = choices[step.to] as IndexedChoice;
    if (then.bytes - now.bytes <= left) {
      left -= then.bytes - now.bytes;
      picks[step.item] = step.to;
    } else slope ??= step.slope;
  }
  return { picks, slope: slope ?? 0 };
}

/** States after some items, by rising bytes and falling error. `parent` is an index into the front before. */
interface Front {
  readonly bytes: readonly number[];
  readonly error: readonly number[];
  readonly pick: readonly number[];
  readonly parent: readonly number[];
}

function improve(items: readonly (readonly IndexedChoice[])[], capacity: number, greedy: Greedy): readonly number[] {
  const { slope, picks } = greedy;
  const greedyError = sum(picks.map((at, item) => choiceAt(items, item, at).error));
  // For the items from i on: least bytes, and least error + slope * bytes. Errors of a completion are at least
  // relaxed[i] - slope * (bytes left), whatever the choices.
  const least = new Float64Array(items.length + 1);
  const relaxed = new Float64Array(items.length + 1);
  for (let i = items.length - 1; i >= 0; i--) {
    const choices = items[i] as readonly IndexedChoice[];
    least[i] = (least[i + 1] as number) + (choices[0] as IndexedChoice).bytes;
    relaxed[i] = (relaxed[i + 1] as number) + Math.min(...choices.map(({ error, bytes }) => error + slope * bytes));
  }
  const fronts: Front[] = [{ bytes: [0], error: [0], pick: [0], parent: [0] }];
  items.forEach((choices, item) => {
    const admits = (bytes: number, error: number): boolean =>
      bytes + (least[item + 1] as number) <= capacity &&
      error + (relaxed[item + 1] as number) - slope * (capacity - bytes) <= greedyError * (1 + 1e-12);
    fronts.push(thinned(extend(fronts.at(-1) as Front, choices, admits), capacity));
  });
  const last = fronts.at(-1) as Front;
  // Errors fall along a front, so its end is the best. Rounding in the bound, or the grid, may have lost the greedy one.
  if (last.error.length === 0 || (last.error.at(-1) as number) >= greedyError) return picks;
  const best: number[] = [];
  for (let item = items.length, state = last.error.length - 1; item > 0; item--) {
    const front = fronts[item] as Front;
    best.unshift(front.pick[state] as number);
    state = front.parent[state] as number;
  }
  return best;
}

/** Every state with every choice, without the dominated ones: a merge of one sorted list per choice. */
function extend(
  front: Front,
  choices: readonly IndexedChoice[],
  admits: (bytes: number, error: number) => boolean,
): Front {
  const bytes: number[] = [];
  const error: number[] = [];
  const pick: number[] = [];
  const parent: number[] = [];
  const cursors = choices.map(() => 0);
  let lowest = Infinity;
  for (;;) {
    let from = -1;
    let nextBytes = Infinity;
    let nextError = Infinity;
    for (const [at, choice] of choices.entries()) {
      const state = cursors[at] as number;
      if (state >= front.bytes.length) continue;
      const total = (front.bytes[state] as number) + choice.bytes;
      const totalError = (front.error[state] as number) + choice.error;
      if (total < nextBytes || (total === nextBytes && totalError < nextError)) {
        [from, nextBytes, nextError] = [at, total, totalError];
      }
    }
    if (from < 0) return { bytes, error, pick, parent };
    const state = cursors[from] as number;
    cursors[from] = state + 1;
    if (nextError >= lowest || !admits(nextBytes, nextError)) continue;
    lowest = nextError;
    bytes.push(nextBytes);
    error.push(nextError);
    pick.push(from);
    parent.push(state);
  }
}

/** At most `frontLimit` states: the one with the least error of each byte interval. */
function thinned(front: Front, capacity: number): Front {
  if (front.bytes.length <= frontLimit) return front;
  const cell = capacity / frontLimit;
  const cellOf = (state: number): number => Math.floor((front.bytes[state] as number) / cell);
  const kept = front.bytes.flatMap((_, state) =>
    state + 1 < front.bytes.length && cellOf(state + 1) === cellOf(state) ? [] : [state],
  );
  const at = (values: readonly number[]): readonly number[] => kept.map((state) => values[state] as number);
  return { bytes: at(front.bytes), error: at(front.error), pick: at(front.pick), parent: at(front.parent) };
}
