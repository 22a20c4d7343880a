// What can be done about drift: changes of the bundle's delivery policy, which are a new revision of the same content.

import type { Bundle } from "../api/answers";

/** pointerOf is a JSON pointer to the field that a path of the hub names, as ignore rules have it; an item of a list stands for all. Undefined where none does. */
export function pointerOf(path: string): string | undefined {
  if (!/^[A-Za-z][\w-]*(\.[A-Za-z][\w-]*|\[[^\]"/~]*\])*$/.test(path)) return undefined;
  return path.replace(/\[[^\]]*\]/g, ".*").split(".").reduce((pointer, key) => `${pointer}/${key}`, "");
}

/** targetOf selects the objects of a kind and a name: "apps/Deployment shop/web" names a group, a kind, a namespace and a name. */
export function targetOf(object: string) {
  const [kind = "", full = ""] = object.split(" ");
  const cut = (text: string): [string, string] => (text.includes("/") ? [text.slice(0, text.lastIndexOf("/")), text.slice(text.lastIndexOf("/") + 1)] : ["", text]);
  const [group, plain] = cut(kind);
  const [namespace, name] = cut(full);
  return { ...(group && { group }), kind: plain, ...(namespace && { namespace }), name };
}

/** withDelivery is what is applied for a bundle to be delivered otherwise. */
export function withDelivery(bundle: Bundle, change: (delivery: Record<string, unknown>) => Record<string, unknown>) {
  const { status: _, ...desired } = bundle;
  return { resources: [{ bundle: { ...desired, spec: { ...desired.spec, delivery: change(desired.spec?.delivery ?? {}) } } }] };
}
