/** A progress bar on a terminal, with what is done of the stage and the time that the rest of it may take; nothing where the output is a file. */
import { Presets, SingleBar } from "cli-progress";

export function progressBar(): {
  readonly update: (stage: string, done: number, total: number) => void;
  readonly stop: () => void;
} {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar(
    {
      format: "{stage} {bar} {value}/{total} {left}",
      hideCursor: true,
      clearOnComplete: true,
      stream: process.stderr,
    },
    Presets.shades_classic,
  );
  bar.start(1, 0, { stage: "import", left: "" });
  let current = { stage: "", start: 0 };
  return {
    update: (stage, done, total) => {
      const now = performance.now();
      if (current.stage !== stage) current = { stage, start: now };
      bar.setTotal(Math.max(1, total));
      bar.update(done, { stage: stage.padEnd(15), left: timeLeft(now - current.start, done, total) });
    },
    stop: () => bar.stop(),
  };
}

/** `elapsed`: milliseconds since the stage began. Nothing where nothing can be said yet. */
export function timeLeft(elapsed: number, done: number, total: number): string {
  if (done <= 0 || done >= total || elapsed < 500) return "";
  const seconds = Math.ceil(((elapsed / done) * (total - done)) / 1000);
  return seconds < 60 ? `about ${seconds} s left` : `about ${Math.ceil(seconds / 60)} min left`;
}
