/** LSTM: with constant weights a pass makes it leafcutter.Recurrent; with computed ones it runs as a host step. */
import { lstm } from "../../../runtime/reference/recurrent.ts";
import { defineOperator, sumTolerance } from "../operator.ts";
import { inferLayer } from "./layer.ts";

export const lstmOperator = defineOperator({
  op: "LSTM",
  infer: (context) => inferLayer(context, "lstm"),
  reference: lstm,
  tolerance: sumTolerance,
});
