import { call } from "../api/client";
import type { Bundle } from "../api/answers";
import { useMay } from "../frame/useMay";
import { Ask } from "../parts/Ask";
import { pointerOf, targetOf, withDelivery } from "./drift";

interface Props {
  bundle: string;
  object: string;
  path: string;
  reason: string;
}

/** What the page learns by itself, since it follows the bundle. */
const nothing = () => {};

/** DriftActions are what may be done about a field that differs. What is live is accepted by publishing it, which is the source's to do. */
export function DriftActions({ bundle, object, path, reason }: Props) {
  const allowed = useMay("apply", "bundles", { bundle });
  if (!allowed) return null;
  const pointer = pointerOf(path);
  const apply = (change: Parameters<typeof withDelivery>[1]) => async () => withDelivery(await call<Bundle>("GET", `/v1/bundles/${bundle}`), change);
  const ignored = (delivery: Record<string, unknown>) => ({
    ...delivery,
    ignore: [...((delivery["ignore"] as unknown[] | undefined) ?? []), { target: targetOf(object), paths: [pointer] }],
  });
  return (
    <div class="acts">
      {reason === "ReportOnly" && (
        <Ask label="Correct…" confirm={`Correct drift of ${bundle}`} method="POST" path="/v1/apply" body={apply((d) => ({ ...d, drift: "correct" }))} done={nothing}>
          <p>Drift of all objects of {bundle} is repaired from now on, wherever they do not say otherwise themselves. It is a new revision, which goes through the clusters as any other.</p>
        </Ask>
      )}
      {pointer && (
        <Ask label="Ignore…" confirm="Ignore this field" method="POST" path="/v1/apply" body={apply(ignored)} done={nothing}>
          <p>
            <code>{pointer}</code> of {object} is left as it is found in every cluster. It is a new revision of {bundle}, which goes through the clusters as any other.
          </p>
        </Ask>
      )}
    </div>
  );
}
