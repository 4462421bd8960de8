/** Linear memory to scale: its regions as one strip, and below it what lies in the arena while the steps run. */
import type { Program, Region } from "../runtime/format/program.ts";
import { pageBytes } from "../runtime/format/program.ts";
import { element, svg } from "./element.ts";
import { lifetimesOf } from "./lifetimes.ts";
import { bytesText } from "./quantity.ts";

interface Part {
  readonly name: string;
  readonly kind: "weights" | "table" | "arena" | "rest";
  readonly bytes: number;
}

function partsOf({ memory }: Program): readonly Part[] {
  const regions: readonly (readonly [Part["kind"], Region])[] = [
    ["weights", memory.weights],
    ["table", memory.table],
    ["arena", memory.arena],
  ];
  const names = { weights: "weights", table: "table of steps", arena: "arena", rest: "rest of the last page" } as const;
  const used = regions.map(([kind, { bytes }]): Part => ({ name: names[kind], kind, bytes }));
  const total = memory.pages * pageBytes;
  const rest = total - used.reduce((sum, { bytes }) => sum + bytes, 0);
  return [...used, { name: names.rest, kind: "rest", bytes: rest }];
}

function arenaChart(program: Program, width: number): SVGSVGElement {
  const height = 170;
  const { arena } = program.memory;
  const steps = program.steps.length;
  const column = width / (steps + 1);
  const blocks = lifetimesOf(program).map(({ start, end, from, to }) => {
    const life = `${from < 0 ? "an input" : `written by step ${from + 1}`}, ${to === steps ? "an output" : `last read by step ${to + 1}`}`;
    return svg(
      "rect",
      {
        class: from < 0 ? "given" : to === steps ? "result" : "value",
        x: (from + 1) * column,
        y: ((start - arena.start) / arena.bytes) * height,
        width: Math.max(1, (Math.min(to + 1, steps) - from) * column),
        height: Math.max(2, ((end - start) / arena.bytes) * height),
      },
      svg("title", {}, `${bytesText(end - start)}, ${life}`),
    );
  });
  return svg(
    "svg",
    {
      class: "arena",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "img",
      "aria-label": `What lies in the arena over ${steps} steps`,
    },
    ...blocks,
  );
}

/** Replaces the content of `host`. */
export function showMemory(host: HTMLElement, program: Program): void {
  const parts = partsOf(program);
  const total = program.memory.pages * pageBytes;
  const strip = element(
    "div",
    {
      class: "strip",
      role: "img",
      "aria-label": parts.map(({ name, bytes }) => `${name} ${bytesText(bytes)}`).join(", "),
    },
    ...parts.map(({ kind, bytes }) => element("span", { class: kind, style: `flex-grow:${bytes / total}` })),
  );
  const legend = element(
    "ul",
    { class: "legend" },
    ...parts.map(({ name, kind, bytes }) =>
      element("li", {}, element("i", { class: kind }), `${name} `, element("b", {}, bytesText(bytes))),
    ),
  );
  const caption = element(
    "p",
    { class: "hint" },
    "The arena as the steps run, left to right, from the input (green) to the output (orange): a value keeps its bytes until its last reader, then another takes them.",
  );
  host.replaceChildren(strip, legend, arenaChart(program, Math.max(260, host.clientWidth)), caption);
}
