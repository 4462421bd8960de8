/**
 * Energy counters of the machine: Linux powercap (RAPL), the packages' domains summed. They wrap around and count everything
 * that runs. https://www.kernel.org/doc/html/latest/power/powercap/powercap.html
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { LeafcutterError } from "../runtime/format/diagnostic.ts";

export const powercap = "/sys/class/powercap";

interface Domain {
  readonly file: string;
  /** Joules at which the counter starts again. */
  readonly range: number;
}

/** Counters of one kind of machine; `read` gives joules since `open`. */
export class EnergyCounters {
  readonly #domains: readonly Domain[];
  readonly #last: number[];
  #total = 0;

  private constructor(domains: readonly Domain[], first: readonly number[]) {
    this.#domains = domains;
    this.#last = [...first];
  }

  /** Throws counters-unreadable, which says why. */
  static async open(folder = powercap): Promise<EnergyCounters> {
    const names = await readdir(folder).catch(() => [] as string[]);
    const packages = names.filter((name) => /^intel-rapl:\d+$/.test(name)).sort();
    if (packages.length === 0)
      throw unreadable(folder, "there are none", "Virtual machines and containers often hide them.");
    try {
      const domains = await Promise.all(
        packages.map(async (name) => ({
          file: join(folder, name, "energy_uj"),
          range: Number(await readFile(join(folder, name, "max_energy_range_uj"), "utf8")) * 1e-6,
        })),
      );
      return new EnergyCounters(domains, await Promise.all(domains.map(joulesOf)));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error);
      throw unreadable(
        folder,
        code,
        "Only root may read them on most systems: chmod +r the energy_uj files, or run as root.",
      );
    }
  }

  async read(): Promise<number> {
    for (const [index, domain] of this.#domains.entries()) {
      const now = await joulesOf(domain);
      const before = this.#last[index] as number;
      this.#total += now >= before ? now - before : now + domain.range - before;
      this.#last[index] = now;
    }
    return this.#total;
  }
}

const joulesOf = async ({ file }: Domain): Promise<number> => Number(await readFile(file, "utf8")) * 1e-6;

const unreadable = (folder: string, received: string, advice: string): LeafcutterError =>
  new LeafcutterError({
    code: "counters-unreadable",
    where: folder,
    message: "the energy counters of this machine cannot be read",
    expected: "intel-rapl:N/energy_uj",
    received,
    advice,
  });
