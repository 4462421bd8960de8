/** HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix: tables of a few parameters, computed when the model is compiled. */
import { dtypeOfNumber } from "../../../runtime/reference/data-type.ts";
import {
  blackmanWindow as blackman,
  hammingWindow as hamming,
  hannWindow as hann,
  melWeightMatrix as mel,
} from "../../../runtime/reference/window-function.ts";
import { integerOf } from "../../graph/attribute.ts";
import type { Dim } from "../../graph/dimension.ts";
import { closeTolerance, defineOperator, type Operator, type OperatorContext } from "../operator.ts";
import { numberOfDim } from "./copy.ts";

const parameterOf = (context: OperatorContext, name: string, index: number): number =>
  numberOfDim(context, name, context.elements(index)?.[0]);

const record = (
  op: string,
  reference: Operator["reference"],
  shape: (context: OperatorContext) => readonly Dim[],
): Operator =>
  defineOperator({
    op,
    infer: (context) => {
      const number = integerOf(context.node, "output_datatype", 1);
      return [
        {
          dtype: dtypeOfNumber(number) ?? context.fail("the element type is not supported", undefined, String(number)),
          shape: shape(context),
        },
      ];
    },
    reference,
    tolerance: closeTolerance,
  });

const length = (context: OperatorContext): readonly Dim[] => [parameterOf(context, "the window's size", 0)];

export const hannWindow = record("HannWindow", hann, length);
export const hammingWindow = record("HammingWindow", hamming, length);
export const blackmanWindow = record("BlackmanWindow", blackman, length);
export const melWeightMatrix = record("MelWeightMatrix", mel, (context) => [
  Math.floor(parameterOf(context, "the length of the transform", 1) / 2) + 1,
  parameterOf(context, "the number of filters", 0),
]);
