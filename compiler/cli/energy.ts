/** `--energy`: what one run takes, by the counters of this machine, else estimated. */
import type { Command } from "commander";
import type { Session } from "../../runtime/index.ts";
import { load } from "../../runtime/index.ts";
import { publishedEnergy, type RunEnergy, runEnergyText } from "../budget/energy.ts";
import { parseDeviceProfile } from "../compile.ts";
import { modelTestInputs } from "../package/known-answers.ts";
import { readPackage } from "./package-folder.ts";
import { readText } from "./read-text.ts";

export interface EnergyFlags {
  readonly energy?: boolean;
  readonly powercap?: string;
  readonly device?: string;
}

/** Adds the options of EnergyFlags but `--device`. */
export function withEnergyOptions(command: Command): Command {
  return command
    .option(
      "--energy",
      "measure the energy of a run by the machine's counters (Linux powercap, macOS powermetrics, nvidia-smi); estimate it where they cannot be read",
    )
    .option("--powercap <folder>", "with --energy: where Linux's counters are (default: /sys/class/powercap)");
}

export interface CommandEnergy {
  readonly energy: RunEnergy;
  /** For the terminal: the energy, and why it is no more than an estimate. */
  readonly lines: readonly string[];
}

export async function energyOfRuns(
  session: Session,
  run: () => Promise<unknown>,
  { powercap, device }: EnergyFlags,
): Promise<CommandEnergy> {
  const { energyOfSession, estimateText } = await import("../../bench/energy-of-runs.ts");
  const coefficients =
    device === undefined ? publishedEnergy : parseDeviceProfile(await readText("--device", device), device).energy;
  const { energy, reason } = await energyOfSession(session, run, {
    coefficients,
    ...(powercap === undefined ? {} : { powercap }),
  });
  const lines = [`energy: ${runEnergyText(energy)}`];
  return { energy, lines: reason ? [estimateText(reason, coefficients), ...lines] : lines };
}

/** Runs the package of a folder in this process, on seeded inputs. */
export async function energyOfPackage(folder: string, flags: EnergyFlags): Promise<CommandEnergy> {
  const { files, program } = await readPackage(folder);
  const { inputs } = modelTestInputs(program);
  const session = await load(files, { worker: false });
  try {
    const { variant } = await session.stats();
    const { roundOf } = await import("../../bench/state.ts");
    const { energy, lines } = await energyOfRuns(session, roundOf(session, inputs), flags);
    return { energy, lines: [...lines, `  (in Node on ${variant})`] };
  } finally {
    await session.dispose();
  }
}
