// "Log repair": what was done, by whom. The gateway then begins the degradation history anew.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, post, segment } from "../api.ts";
import { t } from "../i18n/index.ts";
import type { Asset } from "../lib/types.ts";
import { actor } from "../settings.ts";
import { Problem } from "./common.tsx";
import { Icon } from "./icons.tsx";
import { toast } from "./toast.tsx";

function Form({ asset, close, done }: { asset: Asset; close: () => void; done: () => void }) {
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const who = actor.value.trim();
    if (!who) return setError(new ApiError(0, t.repair.nameMissing));
    setBusy(true);
    try {
      await post(`/assets/${segment(asset.id)}/maintenance`, { note: note.trim(), actor: who });
      toast(t.repair.done);
      done();
      close();
    } catch (problem) {
      setError(problem instanceof ApiError ? problem : new ApiError(0, String(problem)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit} noValidate>
      <h2 id="repair-title">{t.repair.title(asset.name)}</h2>
      <p>{t.repair.text}</p>
      {error && <Problem error={error} />}
      <label class="field">
        <span>{t.repair.what}</span>
        <textarea rows={3} maxLength={500} value={note} aria-describedby="repair-hint" onInput={(event) => setNote(event.currentTarget.value)} />
        <span class="field-hint" id="repair-hint">
          {t.repair.whatHint}
        </span>
      </label>
      <label class="field">
        <span>{t.repair.who}</span>
        <input
          type="text"
          autoComplete="name"
          maxLength={80}
          required
          value={actor.value}
          onInput={(event) => {
            actor.value = event.currentTarget.value;
            setError(null);
          }}
        />
      </label>
      <div class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {t.app.cancel}
        </button>
        <button type="submit" class="button button-main" disabled={busy}>
          {busy ? t.repair.saving : t.repair.save}
        </button>
      </div>
    </form>
  );
}

export function RepairButton({ asset, done }: { asset: Asset; done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <>
      <button type="button" class="button" onClick={() => setOpen(true)}>
        <Icon name="spanner" />
        {t.repair.open}
      </button>
      <dialog ref={dialog} class="dialog" aria-labelledby="repair-title" onClose={() => setOpen(false)}>
        {open && <Form asset={asset} close={() => setOpen(false)} done={done} />}
      </dialog>
    </>
  );
}
