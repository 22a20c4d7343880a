import { useState } from "preact/hooks";
import { call } from "../api/client";
import { useQuery } from "../api/query";
import type { Bundle, Publication } from "../api/answers";
import { useMay } from "../frame/useMay";
import { Ask } from "../parts/Ask";
import { flags } from "../parts/command";
import { warnings } from "../parts/Gates";
import { Reach } from "../parts/Reach";
import { plural } from "../words";
import { pointerOf, targetOf, withDelivery } from "./drift";

/** Field is one that differs in the same way in some clusters. */
export interface Field {
  path: string;
  kind: string;
  bundle: string;
  desired: string;
  live: string;
  manager: string;
  reason: string;
  since: string | undefined;
  clusters: string[];
  /** How many of them are stale, and since when the first of those has not been heard: it is what they last said. */
  unheard: number;
  asOf: string | undefined;
}

/** What the page learns by itself, since it follows the bundle. */
const nothing = () => {};

/** DriftActions are what may be done about a field that differs. */
export function DriftActions({ field }: { field: Field }) {
  const { bundle, kind, path, reason } = field;
  const allowed = useMay("apply", "bundles", { bundle });
  if (!allowed) return null;
  const pointer = pointerOf(path);
  const apply = (change: Parameters<typeof withDelivery>[1]) => async () => withDelivery(await call<Bundle>("GET", `/v1/bundles/${bundle}`), change);
  const ignored = (delivery: Record<string, unknown>) => ({
    ...delivery,
    ignore: [...((delivery["ignore"] as unknown[] | undefined) ?? []), { target: targetOf(kind), paths: [pointer] }],
  });
  return (
    <div class="acts">
      {path && !kind.startsWith("Secret ") && <Accept field={field} />}
      {reason === "ReportOnly" && (
        <Ask label="Correct…" confirm={`Correct drift of ${bundle}`} method="POST" path="/v1/apply" body={apply((d) => ({ ...d, drift: "correct" }))} touches={warnings} done={nothing} told="on its way">
          <p>Drift of all objects of {bundle} is repaired from now on, wherever they do not say otherwise themselves. It is a new revision, which goes through the clusters as any other.</p>
          <p class="dim">
            In the bundle's file: <code>spec.delivery.drift: correct</code>
          </p>
        </Ask>
      )}
      {pointer && (
        <Ask label="Ignore…" confirm="Ignore this field" method="POST" path="/v1/apply" body={apply(ignored)} touches={warnings} done={nothing} told="on its way">
          <p>
            <code>{pointer}</code> of {kind} is left as it is found in every cluster. It is a new revision of {bundle}, which goes through the clusters as any other.
          </p>
          <p class="dim">
            In the bundle's file: <code>spec.delivery.ignore</code>
          </p>
        </Ask>
      )}
    </div>
  );
}

/** Accept makes what is live desired, for the clusters that have it or for a target of the bundle. */
function Accept({ field: { bundle, kind, path, live, clusters } }: { field: Field }) {
  const [group, setGroup] = useState("");
  const targets = useQuery<Bundle>(`/v1/bundles/${bundle}`).data?.spec?.targets ?? [];
  const body = { clusters, fields: [{ object: kind, path, live }], ...(group && { group }) };
  const where = group ? `all of ${group}` : plural(clusters.length, "cluster");
  return (
    <Ask
      label="Accept…"
      confirm={`Accept it for ${where}`}
      method="POST"
      path={`/v1/bundles/${bundle}/drift:accept`}
      body={body}
      command={`yardarm drift accept bundle/${bundle} ${clusters.map((c) => `cluster/${c}`).join(" ")}${flags({ object: kind, field: path, group })}`}
      variant={group}
      touches={(answer) => <Reach answer={answer as Publication} />}
      done={nothing}
      told="on its way"
    >
      <p>
        What is live becomes desired, by a patch of {bundle}'s customization. It is a new revision, which goes through the clusters as any other; undoing it takes it back.
      </p>
      <label>
        For whom
        <select class="field-in" value={group} onChange={(e) => setGroup(e.currentTarget.value)}>
          <option value="">{clusters.length === 1 ? `${clusters[0]} alone` : `the ${clusters.length} clusters that have it`}</option>
          {targets.map((t) => (
            <option key={t.group} value={t.group}>
              all of {t.group}
            </option>
          ))}
        </select>
      </label>
    </Ask>
  );
}
