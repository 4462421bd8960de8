/** Functions of one number. */
import { roundHalfEven } from "../format/half.ts";
import { unaryNumbers } from "./elementwise.ts";
import { erf as errorFunction } from "./special.ts";

export const reciprocal = unaryNumbers((x) => 1 / x);
export const sqrt = unaryNumbers(Math.sqrt);
export const exp = unaryNumbers(Math.exp);
export const log = unaryNumbers(Math.log);
export const floor = unaryNumbers(Math.floor);
export const ceil = unaryNumbers(Math.ceil);
/** Ties to even. */
export const round = unaryNumbers(roundHalfEven);
export const sin = unaryNumbers(Math.sin);
export const cos = unaryNumbers(Math.cos);
export const tan = unaryNumbers(Math.tan);
export const asin = unaryNumbers(Math.asin);
export const acos = unaryNumbers(Math.acos);
export const atan = unaryNumbers(Math.atan);
export const sinh = unaryNumbers(Math.sinh);
export const cosh = unaryNumbers(Math.cosh);
export const tanh = unaryNumbers(Math.tanh);
export const asinh = unaryNumbers(Math.asinh);
export const acosh = unaryNumbers(Math.acosh);
export const atanh = unaryNumbers(Math.atanh);
export const erf = unaryNumbers(errorFunction);
