import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { SourceCredentials } from "../../api/answers";
import { useMay } from "../../frame/useMay";
import { Block } from "../../parts/Block";
import { Problem } from "../../parts/Note";
import { count } from "../../words";
import { scopeText } from "./scope";

/** Credentials are what the hub shows to servers of sources: which secrets there are, where they may go, and whose sources may name them. */
export function Credentials() {
  const allowed = useMay("get", "sourcecredentials");
  const { data, error } = useQuery<{ sourceCredentials?: SourceCredentials[] }>(allowed ? query("/v1/sourcecredentials", { pageSize: 500 }) : "");
  if (!allowed) return null;
  const all = data?.sourceCredentials ?? [];
  return (
    <Block title="Source credentials" n={data && count(all.length)} act={<code class="dim">yardarm credentials set NAME --bundle web --url URL …</code>}>
      {error && <Problem failure={error} />}
      <ul class="rows grants">
        {all.map(({ metadata, spec, status }) => (
          <li key={metadata.name}>
            <p>
              <span class="m ink">{metadata.name}</span> holds <b>{[...(status?.holds ?? []), ...(spec?.ca ? ["ca"] : [])].join(", ") || "nothing"}</b>, for{" "}
              <span class="m">{spec?.urls?.join(", ")}</span>
            </p>
            <p class="dim">
              {scopeText("bundles", spec?.bundles, "no bundles")} may name them; {status?.bundles?.length ? `${status.bundles.join(", ")} ${status.bundles.length > 1 ? "do" : "does"}` : "none does"}
              {status?.actor && `; written by ${status.actor}`}
            </p>
          </li>
        ))}
      </ul>
      {data && all.length === 0 && <p class="more">There are none: sources are asked as anybody may ask.</p>}
    </Block>
  );
}
