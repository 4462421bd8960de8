/**
 * InstanceNormalization and GroupNormalization, channels at axis 1 or (attribute layout NHWC) last. Channels first with one
 * scale a group are rows of the norm family; everything else is done by nests.
 */
import { groupNormalization, instanceNormalization } from "../../../runtime/reference/normalization.ts";
import { floatOf, integerOf, stringOf } from "../../graph/attribute.ts";
import { type Dim, divideDims, multiplyDims } from "../../graph/dimension.ts";
import type { TensorType } from "../../graph/graph.ts";
import { type AffineIndex, along } from "../../loop/loop.ts";
import { firstOutput, hasGeneratedCode, inputOperand, stepsOf } from "../contraction/operands.ts";
import { closeTolerance, defineOperator, type Lowering, type Operator, type OperatorContext } from "../operator.ts";
import { inverseDeviation, normaliseByNests } from "./normalise.ts";

interface Groups {
  readonly count: Dim;
  /** Whether scale and shift belong to a group instead of a channel. */
  readonly affineByGroup: boolean;
}

const channelsLast = (context: OperatorContext): boolean => stringOf(context.node, "layout", "NCHW") === "NHWC";

function channelsOf(context: OperatorContext): Dim {
  const { shape } = context.type(0);
  return (channelsLast(context) ? shape[shape.length - 1] : shape[1]) ?? 1;
}

const instances = (context: OperatorContext): Groups => ({ count: channelsOf(context), affineByGroup: true });

/** Scale and shift are per group in version 18, per channel since 21. */
function groups(context: OperatorContext): Groups {
  const count = integerOf(context.node, "num_groups", 0);
  const channels = channelsOf(context);
  if (count < 1 || (typeof channels === "number" && channels % count !== 0))
    context.fail("attribute num_groups does not divide the channels", `a divisor of ${channels}`, String(count));
  return { count, affineByGroup: context.node.version < 21 };
}

function infer(context: OperatorContext, { count, affineByGroup }: Groups): readonly TensorType[] {
  const { dtype, shape } = context.type(0);
  if (shape.length < 2) context.fail("the input has no channel axis", "rank 2 or more", `rank ${shape.length}`);
  const expected = affineByGroup ? count : channelsOf(context);
  for (const index of [1, 2]) {
    const [length, ...rest] = context.type(index).shape;
    const differs = typeof length === "number" && typeof expected === "number" && length !== expected;
    if (length === undefined || rest.length > 0 || differs)
      context.fail(`input ${index} has the wrong shape`, `[${expected}]`, `[${context.type(index).shape.join(", ")}]`);
  }
  return [{ dtype, shape }];
}

function lower(context: OperatorContext, { count, affineByGroup }: Groups): Lowering | undefined {
  const { dtype, shape } = context.type(0);
  if (!hasGeneratedCode(dtype) || [1, 2].some((index) => context.type(index).dtype !== dtype)) return undefined;
  const last = channelsLast(context);
  const batch = shape[0] ?? 1;
  const spatial = last ? shape.slice(1, -1) : shape.slice(2);
  const members = divideDims(channelsOf(context), count);
  const epsilon = floatOf(context.node, "epsilon", 1e-5);
  if (dtype === "float32" && !last && affineByGroup) {
    return stepsOf({
      kind: "family",
      problem: {
        family: "norm",
        outer: multiplyDims(batch, count),
        length: multiplyDims(members, ...spatial),
        centered: true,
        epsilon,
        affine: "row",
        channels: count,
      },
      operands: [0, 1, 2].map(inputOperand),
      outputs: [firstOutput],
    });
  }
  // Iteration axes: batch, group, channel of the group and the spatial ones, in the order of memory.
  const [group, member] = last ? [1 + spatial.length, 2 + spatial.length] : [1, 2];
  const firstSpatial = last ? 1 : 3;
  const channel: AffineIndex = {
    offset: 0,
    terms: [
      { axis: group, coefficient: members },
      { axis: member, coefficient: 1 },
    ],
  };
  const places = spatial.map((_, index) => along(firstSpatial + index));
  const affine = [affineByGroup ? along(group) : channel];
  return normaliseByNests(context, {
    extents: last ? [batch, ...spatial, count, members] : [batch, count, members, ...spatial],
    reduced: [...spatial.map((_, index) => firstSpatial + index), member],
    source: last ? [along(0), ...places, channel] : [along(0), channel, ...places],
    centered: true,
    inverse: inverseDeviation(epsilon, dtype),
    scale: affine,
    shift: affine,
  });
}

const record = (
  op: string,
  reference: Operator["reference"],
  groupsOf: (context: OperatorContext) => Groups,
): Operator =>
  defineOperator({
    op,
    infer: (context) => infer(context, groupsOf(context)),
    reference,
    lower: (context) => lower(context, groupsOf(context)),
    tolerance: closeTolerance,
  });

export const channelNormalizationOperators: readonly Operator[] = [
  record("InstanceNormalization", instanceNormalization, instances),
  record("GroupNormalization", groupNormalization, groups),
];
