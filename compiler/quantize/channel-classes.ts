/**
 * Which channels of activations have to share a factor when channels are scaled: those that movement, pools and interpolation
 * carry from one value to another. Channels are indices of the last axis.
 */
import { integerOf, integersOf, stringOf } from "../graph/attribute.ts";
import type { Graph, Node, Value } from "../graph/graph.ts";

export interface ChannelClass {
  /** Number of factors. */
  readonly size: number;
  /** Every value between which channels travel, with the index of each channel's factor. */
  readonly values: ReadonlyMap<Value, Int32Array>;
}

/** In order of their first values; values without a fixed number of channels belong to none. */
export function channelClasses(graph: Graph): readonly ChannelClass[] {
  const channels = new Channels();
  const values = [...graph.inputs, ...graph.nodes.flatMap(({ outputs }) => outputs)].filter(
    (value) => value.type.dtype === "float32" && channelsOf(value) > 0,
  );
  for (const value of values) channels.add(value);
  for (const node of graph.nodes) {
    const sources = channelSources(node);
    const [output] = node.outputs;
    if (!sources || !output || !sources.every((value) => channels.has(value))) continue;
    let start = 0;
    for (const source of sources) {
      for (let c = 0; c < channelsOf(source); c++) channels.join(output, start + c, source, c);
      start += channelsOf(source);
    }
  }
  return channels.classes(values);
}

/** The inputs whose channels, one after the other, are those of the output; undefined for anything but movement. */
export function channelSources(node: Node): readonly Value[] | undefined {
  const [first] = node.inputs;
  const [output] = node.outputs;
  if (!first || !output || node.outputs.length !== 1) return undefined;
  const rank = first.type.shape.length;
  const keeps = channelsOf(first) > 0 && channelsOf(first) === channelsOf(output);
  switch (node.op) {
    case "Concat": {
      const axis = integerOf(node, "axis", 0);
      const inputs = node.inputs.filter((value) => value !== undefined);
      const isLast = axis === rank - 1 || axis === -1;
      return isLast && inputs.every((value) => channelsOf(value) > 0) ? inputs : undefined;
    }
    case "leafcutter.Pool":
      return keeps && !node.attributes.epilogue && stringOf(node, "mode", "") !== "lp" ? [first] : undefined;
    case "Resize":
      return keeps && stringOf(node, "coordinate_transformation_mode", "") !== "tf_crop_and_resize"
        ? [first]
        : undefined;
    case "Reshape":
    case "Flatten":
    case "Squeeze":
    case "Unsqueeze":
      return keeps ? [first] : undefined;
    case "Transpose":
      return integersOf(node, "perm")?.at(-1) === rank - 1 ? [first] : undefined;
    default:
      return undefined;
  }
}

export function channelsOf({ type }: Value): number {
  const last = type.shape.at(-1);
  return typeof last === "number" ? last : 0;
}

/** Disjoint sets of channels. */
class Channels {
  readonly #starts = new Map<Value, number>();
  readonly #parents: number[] = [];

  add(value: Value): void {
    this.#starts.set(value, this.#parents.length);
    for (let c = 0; c < channelsOf(value); c++) this.#parents.push(this.#parents.length);
  }

  has(value: Value): boolean {
    return this.#starts.has(value);
  }

  join(left: Value, leftChannel: number, right: Value, rightChannel: number): void {
    const a = this.#root((this.#starts.get(left) as number) + leftChannel);
    const b = this.#root((this.#starts.get(right) as number) + rightChannel);
    this.#parents[Math.max(a, b)] = Math.min(a, b);
  }

  #root(channel: number): number {
    let root = channel;
    while (this.#parents[root] !== root) root = this.#parents[root] as number;
    for (let at = channel; at !== root; ) {
      const next = this.#parents[at] as number;
      this.#parents[at] = root;
      at = next;
    }
    return root;
  }

  /** Values that have channels of one set belong together, with all their other channels. */
  classes(values: readonly Value[]): readonly ChannelClass[] {
    const owners = new Map<number, Value[]>();
    const members = new Map<Value, Value[]>();
    for (const value of values) {
      let own = [value];
      members.set(value, own);
      for (let c = 0; c < channelsOf(value); c++) {
        const root = this.#root((this.#starts.get(value) as number) + c);
        const other = owners.get(root);
        const known = other && (members.get(other[0] as Value) as Value[]);
        if (known && known !== own) {
          known.push(...own);
          for (const member of own) members.set(member, known);
          own = known;
        }
        owners.set(root, own);
      }
    }
    return [...new Set(members.values())].map((joined) => {
      const indices = new Map<number, number>();
      const indexOf = (root: number): number => {
        const index = indices.get(root) ?? indices.size;
        indices.set(root, index);
        return index;
      };
      const channels = new Map(
        joined.map((value) => [
          value,
          Int32Array.from({ length: channelsOf(value) }, (_, c) =>
            indexOf(this.#root((this.#starts.get(value) as number) + c)),
          ),
        ]),
      );
      return { size: indices.size, values: channels };
    });
  }
}
