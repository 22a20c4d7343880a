import type { Revision, Variant } from "../../api/answers";
import { plural } from "../../words";

/** artifactsOf are those of a revision: one for each variant, or its only one. */
export function artifactsOf(r: Revision): Variant[] {
  return r.spec.variants?.length ? r.spec.variants : [{ digest: r.spec.digest, objects: r.spec.objects ?? 0 }];
}

/** nameOf is what a variant is called. */
export const nameOf = (variant: string | undefined): string => (variant ? `variant ${variant}` : "no variant");

/** groupsOf are the groups that get a variant of a revision. */
export function groupsOf(r: Revision, variant: string | undefined): string[] {
  return (r.spec.targets ?? []).filter((t) => (t.variant ?? "") === (variant ?? "")).map((t) => t.group);
}

/** objectsText is how many objects a revision has, from the fewest to the most of its variants. */
export function objectsText(r: Revision): string {
  const counts = artifactsOf(r).map((v) => v.objects ?? 0);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? plural(most, "object") : `${least} to ${plural(most, "object")}`;
}

/** changesOf are the artifacts of a revision with what clusters of the same variant had before; those that are the same are left out. A revision without variants has one for all. */
export function changesOf(before: Revision, after: Revision): { variant: Variant; from: string }[] {
  const had = artifactsOf(before);
  const of = (v: Variant) => (before.spec.variants?.length ? had.find((old) => old.name === v.name) : had[0]);
  return artifactsOf(after).flatMap((variant) => {
    const old = of(variant);
    return old && old.digest !== variant.digest ? [{ variant, from: old.digest }] : [];
  });
}
