// What is known: the containers, the sync, the operations, the connection.
// Frames change it at once; who listens is told once a picture, however many came.

import { parts } from './format.js';

// maxOperations bounds what is remembered of operations, as many people watch
// a page for days.
const maxOperations = 200;

export class Store {
  containers = new Map();
  sync = null;
  operations = new Map();
  // at is when what is shown was last known to be so.
  connection = { state: 'connecting', at: 0, retry: 0 };
  #listeners = new Map();
  #changed = new Set();
  #members = false;
  #phases = false;
  #others = new Set();
  #scheduled = false;
  #schedule;

  // schedule is how a picture is waited for.
  constructor(schedule = (f) => requestAnimationFrame(f)) {
    this.#schedule = schedule;
  }

  // on hears of "containers", "sync", "operations" or "connection", and returns how to stop.
  on(topic, listener) {
    const all = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, all.add(listener));
    return () => all.delete(listener);
  }

  // apply takes one frame of the stream.
  apply(frame) {
    const data = frame.data;
    switch (frame.type) {
      case 'containers': this.#snapshot(data ?? []); break;
      case 'container_status': this.#status(data); break;
      case 'container_deleted': this.#deleted(data.container_id); break;
      case 'sync': this.setSync(data); break;
      case 'operation': this.setOperation(data); break;
      default: // a newer server says more than this page knows
    }
  }

  setSync(sync) {
    this.sync = sync;
    this.#tell('sync');
  }

  setOperation(operation) {
    const known = this.operations.get(operation.id);
    if (known && Date.parse(known.updated) > Date.parse(operation.updated)) return;
    this.operations.delete(operation.id);
    this.operations.set(operation.id, operation);
    for (const id of this.operations.keys()) {
      if (this.operations.size <= maxOperations) break;
      this.operations.delete(id);
    }
    this.#tell('operations');
  }

  setConnection(connection) {
    this.connection = { ...this.connection, ...connection };
    this.#tell('connection');
  }

  // clear forgets everything, for another reader.
  clear() {
    this.#snapshot([]);
    this.operations.clear();
    this.sync = null;
    this.#tell('sync');
    this.#tell('operations');
  }

  #snapshot(list) {
    const before = this.containers;
    this.containers = new Map();
    for (const status of list) {
      this.containers.set(status.container_id, view(status));
      this.#changed.add(status.container_id);
    }
    for (const id of before.keys()) this.#changed.add(id);
    this.#members = this.#phases = true;
    this.#wake();
  }

  #status(status) {
    const id = status.container_id;
    const before = this.containers.get(id);
    this.containers.set(id, view(status, before));
    if (!before) this.#members = true;
    if (before?.phase !== status.status) this.#phases = true;
    this.#changed.add(id);
    this.#wake();
  }

  #deleted(id) {
    if (!this.containers.delete(id)) return;
    this.#changed.add(id);
    this.#members = this.#phases = true;
    this.#wake();
  }

  #tell(topic) {
    this.#others.add(topic);
    this.#wake();
  }

  #wake() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#flush());
  }

  #flush() {
    this.#scheduled = false;
    const others = this.#others;
    this.#others = new Set();
    if (this.#changed.size > 0) {
      const change = { ids: this.#changed, members: this.#members, phases: this.#phases };
      this.#changed = new Set();
      this.#members = this.#phases = false;
      this.#emit('containers', change);
    }
    for (const topic of others) this.#emit(topic);
  }

  #emit(topic, detail) {
    for (const listener of this.#listeners.get(topic) ?? []) listener(detail);
  }
}

// view is a container's status with what lists ask for, worked out once.
function view(status, before) {
  const named = before ?? parts(status.container_id);
  return {
    id: status.container_id, user: named.user, space: named.space, name: named.name,
    phase: status.status, reason: status.reason ?? '', message: status.message ?? '',
    revision: status.revision ?? '', node: status.node ?? '', simulated: status.simulated ?? false,
    restarts: status.restarts ?? 0, conditions: status.conditions ?? [],
    since: since(status.conditions ?? []),
  };
}

// since is when the container's state last changed, as the Pod's conditions say
// it where there are any: the others begin anew with the server.
function since(conditions) {
  const pod = conditions.filter((c) => c.type === 'PodReady' || c.type === 'Available');
  let last = NaN;
  for (const c of pod.length > 0 ? pod : conditions) {
    const at = Date.parse(c.lastTransitionTime);
    if (!(at <= last)) last = at;
  }
  return last > 0 ? last : NaN;
}
