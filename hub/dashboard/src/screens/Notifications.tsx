import { useQuery } from "../api/query";
import type { Notification } from "../api/answers";
import { useMay } from "../frame/useMay";
import { Block } from "../parts/Block";
import { Problem } from "../parts/Note";
import { Ago, At } from "../parts/Time";
import { count, plural } from "../words";

/** Notifications are who else is told of what happens, and whether that reaches them. */
export function Notifications() {
  const allowed = useMay("get", "notifications");
  const { data, error } = useQuery<{ notifications?: Notification[] }>(allowed ? "/v1/notifications" : "", ["Bundle"]);
  const all = data?.notifications ?? [];
  if (!error && all.length === 0) return null;
  return (
    <Block title="Others who are told" n={count(all.length)} act={<code class="dim">yardarm get notifications</code>}>
      {error && <Problem failure={error} />}
      <ul class="rows ahead">
        {all.map(({ metadata, spec, status }) => (
          <li key={metadata.name}>
            <span>
              <i class={`fl ${status?.failures ? "degraded" : status?.lastDelivered ? "ready" : "waiting"}`} />
            </span>
            <div>
              <p class="ink">
                <b>{metadata.name}</b> <span class="m dim">{status?.host}</span>
              </p>
              <p>
                {spec?.severity || "info"} and above{spec?.topics?.length ? `: ${spec.topics.join(", ")}` : ""}
                {spec?.bundles?.length ? `, of ${spec.bundles.join(", ")}` : ""}
                {spec?.clusterGroups?.length ? `, in ${spec.clusterGroups.join(", ")}` : ""}
              </p>
              {status?.failures ? (
                <p class="t-degraded">
                  {plural(status.failures, "try", "tries")} failed: {status.error}
                  {status.nextTry && (
                    <>
                      ; the next is at <At time={status.nextTry} />
                    </>
                  )}
                </p>
              ) : null}
            </div>
            <div class="dim">
              {status?.lastDelivered ? (
                <>
                  told <Ago time={status.lastDelivered} /> ago
                </>
              ) : (
                "told nothing yet"
              )}
              {status?.pending ? `, ${count(status.pending)} to come` : ""}
            </div>
          </li>
        ))}
      </ul>
    </Block>
  );
}
