// Whom the gateway believes: certificates of OPC UA servers, and the button that trusts one.

import { useState } from "preact/hooks";
import { ApiError, post, segment } from "../api.ts";
import { t } from "../i18n/index.ts";
import type { CertificateInfo } from "../lib/types.ts";
import { useResource } from "../resource.ts";
import { Panel, Problem, Time } from "./common.tsx";
import { toast } from "./toast.tsx";

const CERTIFICATES_EVERY_MS = 5_000;

/** "3f a1 …" in groups, as it is read out over the telephone. */
function Fingerprint({ name, hex }: { name: string; hex: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        <code>{(hex.match(/.{1,8}/g) ?? []).join(" ")}</code>
      </dd>
    </div>
  );
}

function Certificate({ known, reload }: { known: CertificateInfo; reload: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const trust = async () => {
    setBusy(true);
    setError(null);
    try {
      await post(`/certificates/${segment(known.sha256)}/trust`, null);
      toast(t.certificates.done);
      reload();
    } catch (problem) {
      setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <li class="connector">
      <h3>{known.subject}</h3>
      <p>{t.certificates.states[known.trust]}</p>
      {known.expiry && <p>{known.expiry}</p>}
      {error && <Problem error={error} />}
      <dl class="trouble">
        <Fingerprint name="SHA-256" hex={known.sha256} />
        <Fingerprint name="SHA-1" hex={known.sha1} />
        <div>
          <dt>{t.certificates.until}</dt>
          <dd>
            <Time at={known.not_after}>{known.not_after.slice(0, 10)}</Time>
          </dd>
        </div>
      </dl>
      {known.trust === "rejected" && (
        <button type="button" class="button button-main" disabled={busy} onClick={trust}>
          {t.certificates.trust(known.subject)}
        </button>
      )}
    </li>
  );
}

/** Nothing, where no server is secured. */
export function Certificates() {
  const certificates = useResource<CertificateInfo[]>("/certificates", { everyMs: CERTIFICATES_EVERY_MS });
  const list = certificates.data ?? [];
  if (list.length === 0) return null;
  const waiting = list.filter(({ trust }) => trust === "rejected");
  const rest = list.filter(({ trust }) => trust !== "rejected");
  return (
    <Panel title={t.certificates.title} id="certificates-title">
      {waiting.length > 0 && <p>{t.certificates.compare}</p>}
      <ul class="connector-list">
        {[...waiting, ...rest].map((known) => (
          <Certificate key={known.trust + known.sha256} known={known} reload={certificates.reload} />
        ))}
      </ul>
    </Panel>
  );
}
