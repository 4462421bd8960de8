/** Why a budget cannot be kept, for a terminal: every limit with the best that it could be, the nearest plan, what would be enough. */
import { amountText, limitName, limitText } from "./limit-text.ts";
import type { Infeasibility, Limited } from "./outcome.ts";

const quantities: readonly Limited[] = ["size", "memory", "latency", "energy", "quality", "sliceDrop", "minMetric"];

const short = (value: number): string => String(Number(value.toPrecision(3)));

export function formatInfeasibility(details: Infeasibility): readonly string[] {
  const { limits, conflict, best, nearest, relaxations, proved, tier } = details;
  const bestOf = (quantity: Limited): string => {
    const found = best.find((entry) => entry.quantity === quantity);
    if (!found) return "";
    return found.amount === undefined
      ? "; nothing keeps the others"
      : `; ${amountText(quantity, found.amount, tier)} at the best, the others kept`;
  };
  const amounts = quantities.flatMap((quantity) => {
    const amount = nearest[quantity];
    return amount === undefined ? [] : [`${limitName[quantity]} ${amountText(quantity, amount, tier)}`];
  });
  const [first, ...more] = relaxations;
  return [
    `limits${proved ? "" : " (not proved: sums over layers, and what was run)"}:`,
    ...limits.map(
      ({ quantity, limit }) =>
        `  ${conflict.includes(quantity) ? "x" : " "} ${limitName[quantity]} ${limitText(quantity, limit)}${bestOf(quantity)}`,
    ),
    `nearest plan: ${amounts.join(", ")}`,
    ...(first
      ? [
          `enough${more.length > 0 ? ", any one of them" : ""}:`,
          ...relaxations.map(
            ({ quantity, amount, share }) =>
              `  ${limitName[quantity]} ${limitText(quantity, amount, tier)} (moved by ${short(100 * share)} %)`,
          ),
        ]
      : []),
    ...(conflict.length > 0 ? ["x: limits that exclude one another; --report FILE.html shows it as a page"] : []),
  ];
}
