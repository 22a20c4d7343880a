import type { Publication } from "../api/answers";
import { plural } from "../words";

/** Reach is what a revision would change and where, as the hub's dry run tells it. */
export function Reach({ answer: { clusters = 0, warnings = [], diff, plan } }: { answer: Publication }) {
  return (
    <>
      {diff ? (
        <ul class="rows">
          {diff.parts?.map((p) => (
            <li key={`${p.group} ${p.examples?.join()}`}>
              <p class="ink">
                {plural(p.clusters ?? 0, "cluster")} {p.group && `of ${p.group}`} <span class="m dim">{names(p.examples, p.clusters)}</span>
              </p>
              {p.problem && <p class="t-degraded">{p.problem}</p>}
              {p.objects?.flatMap((o) =>
                (o.fields ?? []).map((f) => (
                  <p key={`${o.object} ${f.path}`} class="m wrap">
                    {f.path}: {f.before || "none"} → {f.after || "none"}
                  </p>
                )),
              )}
            </li>
          ))}
          {diff.unchanged ? <li class="dim">Nothing changes in {plural(diff.unchanged, "other cluster")}.</li> : null}
          {diff.notCompared ? <li class="dim">{plural(diff.notCompared, "cluster")} not compared.</li> : null}
        </ul>
      ) : (
        <p class="ink">{plural(clusters, "cluster")} in all get the revision.</p>
      )}
      {plan?.stages?.length ? <p>It takes {plural(plan.stages.length, "stage")}: {plan.stages.map((s) => s.name).join(", ")}.</p> : null}
      {warnings.map((w) => (
        <p key={w} class="ink">
          {w}
        </p>
      ))}
    </>
  );
}

const names = (examples: string[] = [], all = 0): string => examples.join(", ") + (examples.length < all ? "…" : "");
