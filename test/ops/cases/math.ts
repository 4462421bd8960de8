/** Cases of the functions of one number. */
import { floatTypes, type OperatorCase, specials, tensor } from "../case.ts";

const functions = [
  "Reciprocal",
  "Sqrt",
  "Exp",
  "Log",
  "Floor",
  "Ceil",
  "Round",
  "Sin",
  "Cos",
  "Tan",
  "Asin",
  "Acos",
  "Atan",
  "Sinh",
  "Cosh",
  "Tanh",
  "Asinh",
  "Acosh",
  "Atanh",
  "Erf",
];

/** Values of the Digital Library of Mathematical Functions, and by definition. */
const known = (op: string, x: readonly number[], y: readonly number[]): OperatorCase => ({
  name: "known values",
  op,
  version: 22,
  inputs: [tensor("float64", x)],
  attributes: {},
  expected: [tensor("float64", y)],
});

export const mathCases: readonly OperatorCase[] = [
  ...functions.flatMap((op) =>
    floatTypes.map((dtype) => ({
      name: `special ${dtype}`,
      op,
      version: 22,
      inputs: [specials(dtype)],
      attributes: {},
    })),
  ),
  known(
    "Erf",
    [0, 0.5, 1, -1, 2, 3, Infinity],
    [0, 0.5204998778130465, 0.8427007929497149, -0.8427007929497149, 0.9953222650189527, 0.9999779095030014, 1],
  ),
  known("Round", [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4, -2.6], [0, 2, 2, -0, -2, -2, 2, -3]),
  known("Atanh", [0.5, -0.5, 1], [0.5493061443340549, -0.5493061443340549, Infinity]),
  known("Exp", [0, 1, -Infinity], [1, Math.E, 0]),
];
