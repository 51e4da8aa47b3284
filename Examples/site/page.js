"use strict";

// Shows what the origin's /status says it saw. Values are set as text: they come from request fields.
const rows = [
  ["host", "host"],
  ["client", "client address"],
  ["scheme", "scheme you used"],
  ["protocol", "protocol to origin"],
  ["ray", "ray id"],
  ["traceparent", "trace"],
  ["connection", "origin connection"],
  ["request_on_connection", "requests on it"],
];

async function ask() {
  const list = document.getElementById("seen");
  const line = (name, value) => {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  };
  try {
    const response = await fetch("/status", { cache: "no-store" });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const seen = await response.json();
    list.replaceChildren(...rows.flatMap(([key, name]) => line(name, String(seen[key] || "not sent"))));
    document.getElementById("lead").textContent = seen.ray
      ? "Martlet fetched this page for you from a small origin server on port 8000."
      : "You are looking at the origin itself: no Martlet stood between. Try port 8080 or 8443.";
    if (seen.client) document.getElementById("you").textContent = seen.client;
    document.getElementById("edge").textContent = seen.ray ? `ray ${seen.ray}` : "not on this way";
  } catch (error) {
    list.replaceChildren(...line("status", `no answer: ${error.message}`));
  }
}

document.getElementById("again").addEventListener("click", ask);
ask();
