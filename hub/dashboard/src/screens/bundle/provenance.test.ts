import { expect, test } from "vitest";
import { brief, signerOf } from "./provenance";

test("a hash is told by its beginning", () => {
  expect(brief("0123456789abcdef0123")).toBe("0123456789ab");
  expect(brief("sha256:0123456789abcdef")).toBe("0123456789ab");
});

test("a signer is a name and a fingerprint", () => {
  expect(signerOf("ada@example.com SHA256:a+b/c")).toEqual({ name: "ada@example.com", fingerprint: "SHA256:a+b/c" });
  expect(signerOf("Ada of the yard SHA256:abc").name).toBe("Ada of the yard");
});
