import { useEffect, useState } from "preact/hooks";
import { may } from "../api/session";

/** useMay tells whether the caller may do something; false until the hub has said so. */
export function useMay(verb: string, resource: string, about: { cluster?: string; bundle?: string } = {}): boolean {
  const [allowed, setAllowed] = useState(false);
  useEffect(() => void may(verb, resource, about).then(setAllowed), [verb, resource, about.cluster, about.bundle]);
  return allowed;
}
