// The real Supabase client against the issuer at SUPABASE_URL and, when API_URL is set, the jobs API.
//
// Environment: SUPABASE_URL, API_URL (optional), USER_A_EMAIL, USER_A_PASSWORD, USER_B_EMAIL, USER_B_PASSWORD.
// Prints one JSON line of what it saw and exits 0, or exits 1 with what went wrong. The issuer must sign with ES256 or
// RS256: the client's getClaims knows no other asymmetric algorithm.

import assert from "node:assert/strict";
import { createClient, isAuthApiError } from "@supabase/supabase-js";
import WebSocket from "ws";

const SUPABASE_URL = process.env.SUPABASE_URL ?? "http://127.0.0.1:9999";
const API_URL = process.env.API_URL?.replace(/\/+$/, "");
const USER_A = credentials("A", "alice@example.com");
const USER_B = credentials("B", "bob@example.com");

const PUBLISHABLE_KEY = "sb_publishable_development";
const REQUEST_TIMEOUT_MS = 10_000;
const JOB_TIMEOUT_MS = 20_000;
const POLL_INTERVAL_MS = 100;

try {
  const seen = { supabase_url: SUPABASE_URL, api_url: API_URL ?? null };
  await wrongPassword(seen);
  const a = await signIn(USER_A);
  await whoAmI(a, USER_A, seen);
  if (API_URL) await jobs(a, seen);
  await refresh(a, seen);
  await anonymous(seen);
  await changeMetadata(a, seen);
  await signOut(a, seen);
  console.log(JSON.stringify(seen));
  process.exit(0);
} catch (error) {
  console.error(`story failed: ${error?.stack ?? error}`);
  process.exit(1);
}

function credentials(name, email) {
  return {
    email: process.env[`USER_${name}_EMAIL`] ?? email,
    password: process.env[`USER_${name}_PASSWORD`] ?? "keyward-dev",
  };
}

/** A client of its own for each person: sessions must not leak from one to the other. */
function client() {
  return createClient(SUPABASE_URL, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: WebSocket },
    global: {
      fetch: (url, options) => fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS), ...options }),
    },
  });
}

/** The data of a client call, which must have succeeded. */
function data(what, result) {
  const { error } = result;
  assert.ok(!error, `${what}: ${error?.name} ${error?.code}: ${error?.message}`);
  return result.data;
}

async function wrongPassword(seen) {
  const { data, error } = await client().auth.signInWithPassword({ ...USER_A, password: "wrong password" });
  assert.equal(data.session, null, "a wrong password gave a session");
  assert.ok(isAuthApiError(error), `a wrong password gave ${error?.name} in place of AuthApiError`);
  assert.equal(error.code, "invalid_credentials");
  assert.equal(error.status, 400);
  seen.wrong_password = { error: error.name, code: error.code };
}

async function signIn(user) {
  const supabase = client();
  const { session } = data("signInWithPassword", await supabase.auth.signInWithPassword(user));
  assert.ok(session.access_token && session.refresh_token, "the session is not complete");
  return supabase;
}

async function whoAmI(supabase, person, seen) {
  const { user } = data("getUser", await supabase.auth.getUser());
  assert.equal(user.email, person.email);
  const { claims, header } = data("getClaims", await supabase.auth.getClaims());
  assert.equal(claims.sub, user.id);
  assert.equal(claims.iss, `${SUPABASE_URL}/auth/v1`);
  assert.notEqual(header.alg.slice(0, 2), "HS", "the token was not verified against the key set");
  const [head, payload, signature] = (await accessToken(supabase)).split(".");
  const flipped = (signature[0] === "A" ? "B" : "A") + signature.slice(1);
  const forged = await supabase.auth.getClaims([head, payload, flipped].join("."));
  assert.equal(forged.error?.code, "invalid_jwt", "a forged token passed getClaims");
  seen.user = { id: user.id, role: claims.role, aal: claims.aal, alg: header.alg };
}

async function jobs(a, seen) {
  const payload = { hello: "world" };
  const submitted = await api(a, "POST", "/v1/jobs", { kind: "echo", payload });
  assert.equal(submitted.status, 201, `submit answered ${submitted.status}: ${JSON.stringify(submitted.body)}`);
  const { id } = submitted.body;
  const job = await finished(a, id);
  assert.equal(job.status, "succeeded", `the job ended ${job.status}: ${JSON.stringify(job.error)}`);
  assert.deepEqual(job.result, payload);
  const own = await listed(a);
  assert.ok(own.includes(id), "A's list does not show A's job");

  const b = await signIn(USER_B);
  const foreign = await listed(b);
  assert.deepEqual(foreign.filter((other) => own.includes(other)), [], "B's list shows A's jobs");
  const stolen = await api(b, "GET", `/v1/jobs/${id}`);
  assert.equal(stolen.status, 404, `B reads A's job: ${stolen.status}`);
  seen.job = { id, status: job.status, result: job.result, attempts: job.attempts, for_others: stolen.status };
}

async function finished(supabase, id) {
  const deadline = Date.now() + JOB_TIMEOUT_MS;
  for (;;) {
    const { status, body } = await api(supabase, "GET", `/v1/jobs/${id}`);
    assert.equal(status, 200, `reading the job answered ${status}: ${JSON.stringify(body)}`);
    if (!["queued", "running"].includes(body.status)) return body;
    assert.ok(Date.now() < deadline, `the job is still ${body.status} after ${JOB_TIMEOUT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

/** The ids of every job the API lists, over all pages. */
async function listed(supabase) {
  const ids = [];
  let cursor = null;
  do {
    const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
    const { status, body } = await api(supabase, "GET", `/v1/jobs${query}`);
    assert.equal(status, 200, `the list answered ${status}: ${JSON.stringify(body)}`);
    ids.push(...body.jobs.map((job) => job.id));
    cursor = body.next_cursor ?? null;
  } while (cursor !== null);
  return ids;
}

async function refresh(supabase, seen) {
  const before = data("getSession", await supabase.auth.getSession()).session;
  const { session } = data("refreshSession", await supabase.auth.refreshSession());
  // Access tokens carry no jti: within one second, a deterministic algorithm gives the same one again.
  assert.notEqual(session.refresh_token, before.refresh_token, "the refresh token was not rotated");
  assert.equal(await accessToken(supabase), session.access_token, "the client kept the old token");
  data("getUser after the refresh", await supabase.auth.getUser());
  seen.refreshed = { api: await apiStatus(supabase) };
}

async function anonymous(seen) {
  const supabase = client();
  const { user } = data("signInAnonymously", await supabase.auth.signInAnonymously());
  assert.equal(user.is_anonymous, true);
  const { claims } = data("getClaims", await supabase.auth.getClaims());
  assert.equal(claims.is_anonymous, true);
  seen.anonymous = { role: claims.role, api: await apiStatus(supabase) };
}

async function changeMetadata(supabase, seen) {
  const { user } = data("updateUser", await supabase.auth.updateUser({ data: { seen_by: "story" } }));
  assert.equal(user.user_metadata.seen_by, "story");
  seen.updated = true;
}

async function signOut(supabase, seen) {
  const token = await accessToken(supabase);
  data("signOut", { data: null, ...(await supabase.auth.signOut()) });
  const { session } = data("getSession", await supabase.auth.getSession());
  assert.equal(session, null, "a session is left after signOut");
  const { error } = await client().auth.getUser(token);
  assert.equal(error?.name, "AuthSessionMissingError", "the server still knows the session");
  seen.signed_out = true;
}

/** How the API answers this person; null without an API. */
async function apiStatus(supabase) {
  if (!API_URL) return null;
  const { status, body } = await api(supabase, "GET", "/v1/jobs");
  assert.equal(status, 200, `the API answered ${status}: ${JSON.stringify(body)}`);
  return status;
}

async function accessToken(supabase) {
  const { session } = data("getSession", await supabase.auth.getSession());
  assert.ok(session, "there is no session");
  return session.access_token;
}

async function api(supabase, method, path, body) {
  const response = await fetch(`${API_URL}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${await accessToken(supabase)}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  return { status: response.status, body: isJson ? JSON.parse(text) : text };
}
