/** RNN: with constant weights a pass makes it leafcutter.Recurrent; with computed ones it runs as a host step. */
import { rnn } from "../../../runtime/reference/recurrent.ts";
import { defineOperator, sumTolerance } from "../operator.ts";
import { inferLayer } from "./layer.ts";

export const rnnOperator = defineOperator({
  op: "RNN",
  infer: (context) => inferLayer(context, "rnn"),
  reference: rnn,
  tolerance: sumTolerance,
});
