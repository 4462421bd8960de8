/**
 * Linux powercap (RAPL): every processor package, with its memory where that has a domain of its own. Counters wrap around.
 * https://www.kernel.org/doc/html/latest/power/powercap/powercap.html
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type EnergyCounters, unreadable } from "./energy-counter.ts";

export const powercap = "/sys/class/powercap";

interface Domain {
  readonly name: string;
  readonly file: string;
  /** Microjoules at which the counter starts again. */
  readonly range: number;
}

/** Counters move every millisecond, by tens of microjoules: 0.1 % of a second. */
const leastSeconds = 1;

/** Throws counters-unreadable, which says why. */
export async function openPowercap(folder: string): Promise<EnergyCounters> {
  const domains = await domainsOf(folder);
  const last = await Promise.all(domains.map(microjoulesOf));
  let total = 0;
  return {
    source: `${domains.map(({ name }) => name).join(" + ")} by powercap`,
    leastSeconds,
    read: async () => {
      for (const [index, domain] of domains.entries()) {
        const now = await microjoulesOf(domain);
        const moved = now - (last[index] as number);
        if (moved < 0 && !(domain.range > 0))
          throw unreadable(domain.file, "a counter that went backwards", "Its max_energy_range_uj cannot be read.");
        total += moved >= 0 ? moved : moved + domain.range;
        last[index] = now;
      }
      return { joules: total * 1e-6, milliseconds: performance.now() };
    },
    close: () => undefined,
  };
}

/** Packages and their memory; the platform's domain (psys), which holds them, where there are none. */
async function domainsOf(folder: string): Promise<readonly Domain[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^intel-rapl:\d+(:\d+)?$/.test(name)).sort();
  const domains = await Promise.all(
    names.map(async (entry) => {
      const [name, range] = await Promise.all(
        ["name", "max_energy_range_uj"].map((file) => readFile(join(folder, entry, file), "utf8").catch(() => "")),
      );
      const isPart = entry.split(":").length > 2;
      return {
        entry,
        isPart,
        name: name?.trim() || entry,
        file: join(folder, entry, "energy_uj"),
        range: Number(range),
      };
    }),
  );
  const packages = domains.filter(({ isPart, name }) => (isPart ? name === "dram" : name !== "psys"));
  const found = packages.some(({ isPart }) => !isPart) ? packages : domains.filter(({ isPart }) => !isPart);
  if (found.length === 0)
    throw unreadable(
      folder,
      "no intel-rapl domain",
      "Virtual machines and containers hide them: run on the machine itself, or give the folder where they are mounted (--powercap).",
    );
  return found.map(({ entry, isPart, name, file, range }) => ({
    name: isPart ? `${name} of ${entry.split(":")[1]}` : name,
    file,
    range,
  }));
}

async function microjoulesOf({ file }: Domain): Promise<number> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const isDenied = error.code === "EACCES" || error.code === "EPERM";
    throw unreadable(
      file,
      isDenied ? "permission denied" : (error.code ?? String(error)),
      "Only root may read it on most systems: run as root, or `sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj`.",
    );
  });
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0)
    throw unreadable(file, JSON.stringify(text.slice(0, 40)), "It should hold microjoules.");
  return value;
}
