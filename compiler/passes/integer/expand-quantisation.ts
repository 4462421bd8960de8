/**
 * What is left of QuantizeLinear and DequantizeLinear becomes elementwise, so that it joins the kernel or the chain next
 * to it. The last look at them: nothing behind this pass knows scales and zero points. Those along an axis keep their form.
 */
import { input } from "../../../runtime/format/expression.ts";
import { expressionAttribute } from "../../graph/attribute.ts";
import { rewritePass } from "../pass.ts";
import { dequantised, quantisationOf, quantised } from "../quantisation.ts";

export const expandQuantisation = rewritePass(
  "expand-quantisation",
  "rounding to integers and back happens in the kernel in front or behind",
  (node, context) => {
    const quantisation = quantisationOf(node, context);
    if (!quantisation) return undefined;
    const formula = node.op === "QuantizeLinear" ? quantised : dequantised;
    return context.emit("leafcutter.Elementwise", [node.inputs[0]], {
      expression: expressionAttribute(formula(input(0), quantisation)),
    });
  },
);
