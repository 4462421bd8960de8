/**
 * The error of a package that was run and exceeds its limits: of one scheme for all layers, or the best of several whose sums over the
 * layers promised more than they kept. Nothing in it is proved but what was measured.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { EnergyTier } from "./energy.ts";
import { diagnosticOf, relaxationsOf } from "./infeasible.ts";
import { amountText, limitName, limitText } from "./limit-text.ts";
import type { Infeasibility, Limited, Point } from "./outcome.ts";
import type { Limits } from "./quantities.ts";

/** What was measured of one choice; `sliceDrop` in points or the metric's unit. */
export type Measured = Point & { readonly sliceDrop: number; readonly metric?: number | undefined };

/** Infinitely good where it was not measured. */
export const amountOf = (measured: Measured, quantity: Limited): number => {
  if (quantity === "minMetric") return measured.metric ?? Number.POSITIVE_INFINITY;
  return quantity === "maxMetric" ? (measured.metric ?? Number.NEGATIVE_INFINITY) : measured[quantity];
};

/** What the limits and amounts are told with. */
interface Settings {
  readonly limits: Limits;
  readonly tier: EnergyTier;
}

const atLeast = (quantity: Limited): boolean => quantity === "quality" || quantity === "minMetric";

/** Limits that `measured` does not keep, in the order of `limits`. */
export const exceededBy = (measured: Measured, limits: Limits): readonly Limited[] =>
  (Object.keys(limits) as Limited[]).filter((quantity) => {
    const limit = limits[quantity];
    if (limit === undefined) return false;
    const amount = amountOf(measured, quantity);
    return atLeast(quantity) ? amount < limit : amount > limit;
  });

const nearestOf = ({ metric, ...point }: Measured): Infeasibility["nearest"] => ({
  ...point,
  ...(metric === undefined ? {} : { minMetric: metric, maxMetric: metric }),
});

const limitedBy = (limits: Limits): Infeasibility["limits"] =>
  (Object.keys(limits) as Limited[]).flatMap((quantity) => {
    const limit = limits[quantity];
    return limit === undefined ? [] : [{ quantity, limit }];
  });

/** All layers have the scheme `name`, and that is `measured`: every limit that it exceeds stands alone. */
export function exceededByPrecision(name: string, measured: Measured, { limits, tier }: Settings): LeafcutterError {
  const conflict = exceededBy(measured, limits);
  const best = conflict.map((quantity) => ({ quantity, amount: amountOf(measured, quantity) }));
  const details: Infeasibility = {
    limits: limitedBy(limits),
    conflict,
    best,
    nearest: nearestOf(measured),
    relaxations: conflict.length === 1 ? relaxationsOf(best, limits) : [],
    proved: true,
    tier,
  };
  const text = (of: (quantity: Limited) => string): string =>
    conflict.map((quantity) => `${limitName[quantity]} ${of(quantity)}`).join(", ");
  return new LeafcutterError({
    code: "budget-infeasible",
    where: `precision ${name}`,
    message: "one scheme for all layers does not keep the limits",
    expected: text((quantity) => limitText(quantity, limits[quantity] ?? 0)),
    received: text((quantity) => amountText(quantity, amountOf(measured, quantity), tier)),
    advice: "Leave the precision out, so that every layer gets the scheme that fits, or move these limits.",
    details,
  });
}

/**
 * `measured`: the best that was run. `original`: the model as it is, which has all quality; limits that it exceeds are what
 * quality is in conflict with.
 */
export function exceededWhenRun(measured: Measured, original: Measured, { limits, tier }: Settings): LeafcutterError {
  const missed = exceededBy(measured, limits);
  const paid = exceededBy(original, limits);
  const best = limitedBy(limits).map(({ quantity }) => ({
    quantity,
    amount: amountOf(missed.includes(quantity) ? measured : original, quantity),
  }));
  const conflict = limitedBy(limits)
    .map(({ quantity }) => quantity)
    .filter((quantity) => missed.includes(quantity) || paid.includes(quantity));
  const details: Infeasibility = {
    limits: limitedBy(limits),
    conflict,
    best,
    nearest: nearestOf(measured),
    relaxations: relaxationsOf(
      best.filter(
        ({ quantity }) =>
          (missed.length === 1 && missed.includes(quantity)) || (paid.length === 1 && paid.includes(quantity)),
      ),
      limits,
    ),
    proved: false,
    tier,
  };
  return new LeafcutterError(diagnosticOf(details));
}
