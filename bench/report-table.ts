/** The table that the terminal shows. */
import { sourceText } from "../compiler/budget/energy.ts";
import {
  bytes,
  denseShare,
  digits,
  energyFigures,
  energySources,
  errorText,
  memorySummaries,
  milliseconds,
  onThreads,
  predictionSummaries,
  ratioSummaries,
  ratioText,
  roofOf,
  roofText,
  threadSummaries,
} from "./report-figures.ts";
import type { Results, Row, Where } from "./row.ts";

interface Column {
  readonly title: string;
  readonly align: "left" | "right";
  readonly text: (row: Row) => string;
}

const left = (title: string, text: Column["text"]): Column => ({ title, align: "left", text });
const right = (title: string, text: Column["text"]): Column => ({ title, align: "right", text });

const latencyColumns: readonly Column[] = [
  left("model", (row) => row.model),
  left("where", (row) => row.where),
  left("engine", (row) => row.engine),
  left("variant", (row) => row.variant),
  right("threads", (row) => `${row.threads}`),
  left("weights", (row) => row.precision),
  right("median ms", (row) => milliseconds(row.medianMs)),
  right("predicted", (row) => milliseconds(row.predictedMs ?? null)),
  right("p95", (row) => milliseconds(row.p95Ms)),
  right("p99", (row) => milliseconds(row.p99Ms)),
  right("runs/s", (row) => milliseconds(row.throughput)),
  right("page trip", (row) => milliseconds(row.roundTripMs)),
  right("ready", (row) => milliseconds(row.readyMs)),
  right("1st output", (row) => milliseconds(row.firstOutputMs)),
  right("fetched", (row) => bytes(row.bytesFetched)),
  right("peak", (row) => bytes(row.peakBytes)),
  right("max error", (row) => errorText(row.maxError)),
  right("ratio", ratioText),
];

const energyColumn = right("mJ (above idle) tier", (row) => energyFigures(row.energy));

/** Rows, then what is wrong, then the geometric means and the roof. */
export function renderTable(results: Results): string {
  const hasEnergy = results.rows.some(({ energy }) => energy !== undefined);
  const columns = hasEnergy ? [...latencyColumns, energyColumn] : latencyColumns;
  const cells = results.rows.map((row) => columns.map((column) => column.text(row)));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((text, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === "right" ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const problems = results.rows.flatMap(({ model, engine, where, status, reason }) =>
    status === "ok" ? [] : [`${status}: ${model}, ${engine} in ${where}: ${reason ?? ""}`],
  );
  const means = ratioSummaries(results).map(
    ({ where, peer, threads, models, geometricMean, least }) =>
      `${geometricMean.toFixed(2)}x ${peer} in ${where}${onThreads(threads)}: geometric mean of ${models}; least ${least.ratio.toFixed(2)}x (${least.model})`,
  );
  const memory = memorySummaries(results).map(
    ({ where, peer, models, geometricMean, most }) =>
      `peak memory ${geometricMean.toFixed(2)} of ${peer}'s in ${where}: geometric mean of ${models}; most ${most.ratio.toFixed(2)} (${most.model})`,
  );
  const dense = results.rows.flatMap((row) => {
    const roof = roofOf(results.host, row);
    const share = roof === null || row.profile === undefined ? undefined : denseShare(row.profile, roof);
    return share === undefined
      ? []
      : [`${row.model} in ${row.where}: dense layers at ${(100 * share).toFixed(0)} % of the roof`];
  });
  const streams = results.rows.flatMap(({ model, where, weightStream }) => {
    if (weightStream === undefined) return [];
    const { bytes: read, runMs, readMs } = weightStream;
    return [
      `${model} in ${where}: ${bytes(read)} of weights at ${digits(read / runMs / 1e6)} GB/s, ${((100 * readMs) / runMs).toFixed(0)} % of reading as many bytes`,
    ];
  });
  const roofs = Object.entries(results.host.roof).map(([where, roof]) => `roof ${roofText(where as Where, roof)}`);
  const predictions = predictionSummaries(results).map(
    ({ where, rows, near, rankCorrelation }) =>
      `predicted within 15 % of the median for ${near} of ${rows} in ${where}; rank correlation ${rankCorrelation.toFixed(3)}`,
  );
  const energies = energySources(results).map((source) => `energy ${sourceText(source)}`);
  const sums = [
    ...energies,
    ...predictions,
    ...means,
    ...threadSummaries(results),
    ...memory,
    ...dense,
    ...streams,
    ...roofs,
  ];
  return [line(columns.map(({ title }) => title)), ...cells.map(line), ...problems, ...sums].join("\n");
}
