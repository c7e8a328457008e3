// Talking to the gateway: JSON over fetch. Server errors keep the server's own words.

import { t } from "./i18n/index.ts";
import type { Problem } from "./lib/types.ts";

const BASE = "/api/v1";
const TIMEOUT_MS = 10_000;

/** What went wrong, in words for the screen. */
export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  readonly hint: string;

  constructor(status: number, message: string, hint = "") {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "title" in body && typeof body.title === "string";
}

async function toError(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  if (isProblem(body)) return new ApiError(response.status, body.detail || body.title, body.detail ? body.title : "");
  return new ApiError(response.status, t.app.errorTitle, `HTTP ${response.status}`);
}

async function call<T>(path: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(BASE + path, { ...init, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, t.app.gatewaySilent, t.app.gatewaySilentHint);
  }
  if (!response.ok) throw await toError(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return call<T>(path, { headers: { Accept: "application/json" } }, signal);
}

/** Writes carry a header that other sites cannot send: no forged requests. */
export function post<T>(path: string, body: unknown): Promise<T> {
  return call<T>(path, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json", "X-Bellwether": "1" },
    body: JSON.stringify(body),
  });
}

export function segment(id: string): string {
  return encodeURIComponent(id);
}
