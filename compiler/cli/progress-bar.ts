/** A progress bar on a terminal; nothing where the output is a file. */
import { Presets, SingleBar } from "cli-progress";

export function progressBar(): {
  readonly update: (stage: string, done: number, total: number) => void;
  readonly stop: () => void;
} {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar(
    { format: "{stage} {bar} {percentage}%", hideCursor: true, clearOnComplete: true, stream: process.stderr },
    Presets.shades_classic,
  );
  bar.start(1, 0, { stage: "import" });
  return {
    update: (stage, done, total) => {
      bar.setTotal(Math.max(1, total));
      bar.update(done, { stage: stage.padEnd(12) });
    },
    stop: () => bar.stop(),
  };
}
