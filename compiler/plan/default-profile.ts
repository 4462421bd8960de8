/** The profile of a compile without one: measured rates of one host, and a published table for energy. */
import { type DeviceProfile, profileFormat } from "../budget/device-profile.ts";
import { publishedEnergy } from "../budget/energy.ts";
import { defaultCosts } from "./default-costs.ts";

export const defaultProfile: DeviceProfile = {
  format: profileFormat,
  name: "built-in: x86-64, one thread",
  host: { cpu: "AMD EPYC, 2 cores", engine: "Chromium 156", notes: defaultCosts.host },
  costs: { "wasm-relaxed": defaultCosts },
  energy: publishedEnergy,
};
