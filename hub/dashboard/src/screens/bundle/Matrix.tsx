import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Facets, Target } from "../../api/answers";
import { withParam } from "../../location";
import { Bar } from "../../parts/Bar";
import { Block } from "../../parts/Block";
import { count, flagOf, wordOf } from "../../words";
import { nameOf } from "./variants";

/** Matrix is the bundle's groups, and in each how it stands, which revisions its clusters are to run, and which variant of them. */
export function Matrix({ bundle }: { bundle: Bundle }) {
  const targets = bundle.spec?.targets ?? [];
  const varied = targets.some((t) => t.variant);
  return (
    <Block title="Groups" n={targets.length}>
      <ul class="rows matrix">
        {targets.map((t) => (
          <Row key={t.group} bundle={bundle.metadata.name} target={t} varied={varied} />
        ))}
      </ul>
    </Block>
  );
}

function Row({ bundle, target: { group, variant }, varied }: { bundle: string; target: Target; varied: boolean }) {
  const { data } = useQuery<Facets>(query("/v1/facets/Assignment", { filter: `bundle=${bundle},group=${group}`, facets: ["phase", "revision"], limit: 20 }), ["Cluster", "Bundle"]);
  const [phases, revisions] = (data?.facets ?? []).map((f) => f.values ?? []);
  const runs = revisions?.map((r) => `r${r.value} ${count(r.count)}`).join(", ");
  const ready = phases?.find((p) => p.value === "Ready")?.count ?? 0;
  const total = data?.totalSize ?? 0;
  return (
    <li>
      <span class="cut" title={varied ? `${group}: ${nameOf(variant)}` : group}>
        <a class="m ink" href={query("/clusters", { filter: `group=${group},bundle=${bundle}` })}>
          {group}
        </a>{" "}
        {varied && (
          <a class="dim" href={withParam("variant", variant ?? "")}>
            {nameOf(variant)}
          </a>
        )}
      </span>
      <Bar parts={(phases ?? []).map((p) => ({ flag: flagOf(p.value), word: wordOf(p.value), n: p.count }))} />
      <span class="num">
        {count(ready)} <span class="dim">of {count(total)} ready</span>
      </span>
      <span class="m dim cut" title={runs}>
        {runs}
      </span>
    </li>
  );
}
