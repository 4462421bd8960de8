/** Operators of detectors, computed by the host: RoiAlign, MaxRoiPool; NonMaxSuppression finds as many boxes as the data have. */
import * as reference from "../../../runtime/reference/detection.ts";
import { integerOf, integersOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { closeTolerance, defineOperator, exactTolerance } from "../operator.ts";
import { discoveredTypes } from "./discover.ts";

export const nonMaxSuppression = defineOperator({
  op: "NonMaxSuppression",
  infer: (context) => discoveredTypes(context, reference.nonMaxSuppression),
  reference: reference.nonMaxSuppression,
  tolerance: exactTolerance,
});

export const roiAlign = defineOperator({
  op: "RoiAlign",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const extents = [integerOf(context.node, "output_height", 1), integerOf(context.node, "output_width", 1)];
    return [{ dtype, shape: [context.type(1).shape[0] as Dim, shape[1] as Dim, ...extents] }];
  },
  reference: reference.roiAlign,
  tolerance: closeTolerance,
});

export const maxRoiPool = defineOperator({
  op: "MaxRoiPool",
  infer: (context) => {
    const { dtype, shape } = context.type(0);
    const pooled = integersOf(context.node, "pooled_shape") ?? context.fail("pooled_shape is missing");
    return [{ dtype, shape: [context.type(1).shape[0] as Dim, shape[1] as Dim, ...pooled] }];
  },
  reference: reference.maxRoiPool,
  tolerance: exactTolerance,
});
