"""One store that finds, for each reference, the store that it lies in.

    primary                     keys, and references under its root
    another container           of the primary's service, where `multicontainer` allows it
    a scheme of `schemes`       the store configured for it
    s3, gs, az, abfs[s], redis  opened with the credentials that the environment has

A store is opened when a reference first leads to it, once, and stays open until the router is
closed. `file://` and `memory://` lead somewhere only when they are configured: a reference may
come from outside, and must not choose a file of this machine.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, final

import msgspec
from msgspec import Struct, field

from holdall.core.config import literal, same_name
from holdall.core.errors import HoldallError, InvalidKey
from holdall.core.reference import Reference
from holdall.objects.layers.call import Forwarding, ask_at_once
from holdall.objects.layers.layer import way_into
from holdall.objects.layers.registry import read_layers
from holdall.objects.registry import REMOTE_LAYERS, Plan, plan_store, store_class
from holdall.objects.results import DeleteFailure
from holdall.objects.transfer.crossing import copy_across

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from holdall.core.runtime import Runtime
    from holdall.objects.contract import Data, ObjectStore, Upload
    from holdall.objects.layers.call import Call
    from holdall.objects.options import (
        CopyOptions,
        DeleteOptions,
        GetOptions,
        HeadOptions,
        ListOptions,
        SignOptions,
        WriteOptions,
    )
    from holdall.objects.results import (
        Capabilities,
        ObjectMeta,
        ObjectStream,
        Page,
        SignedUrl,
        UploadPage,
    )

_MANY = frozenset({"copy", "delete"})
"""The operations with several references, which may lead to several stores."""
_AMBIENT = ("abfs", "abfss", "az", "gs", "redis", "rediss", "s3")


class RouterSettings(Struct, frozen=True, kw_only=True):
    """Settings of `type: router`.

    Args:
        primary: The configuration of the store that keys belong to.
        schemes: For other schemes, the configuration of each one's store. One that names no
            container takes those that references name.
        multicontainer: Whether references may name other containers than the configured ones.
        fallback: `primary` takes a reference of an unknown scheme for one of the primary store's
            service, with its container and key as they are; `none` refuses it.
        remote_layers: What stands around each remote store whose own configuration says nothing of
            layers.
    """

    primary: dict[str, Any]
    schemes: dict[str, dict[str, Any]] = field(default_factory=dict)
    multicontainer: bool = False
    fallback: Literal["none", "primary"] = "none"
    remote_layers: list[Any] = field(default_factory=lambda: list(REMOTE_LAYERS))


@final
class Router(Forwarding):
    """A store in front of several, by scheme and container.

    Its root, capabilities and settings are those of the primary store, but for `told_by_get`,
    which is false; a key is one of the primary store. A copy from one store to another goes
    through this process.
    """

    settings_type = RouterSettings

    def __init__(self, settings: RouterSettings, runtime: Runtime) -> None:
        read_layers(settings.remote_layers)  # what is wrong with them is said now
        self._around = settings.remote_layers
        self._plan = plan_store(literal(settings.primary))
        self._schemes = {
            scheme.lower(): _Scheme(scheme.lower(), given)
            for scheme, given in settings.schemes.items()
        }
        self._primary = self._plan.open(runtime, self._around)
        # A reference may lead to a store that tells less.
        self._capabilities = msgspec.structs.replace(
            self._primary.capabilities, routes=True, told_by_get=False
        )
        self._place = _place(self._primary.root)
        self._multicontainer = settings.multicontainer
        self._falls_back = settings.fallback == "primary"
        self._opened = {self._place: self._primary}
        self._ways = {self._place: way_into(self._primary)}
        self._opening = threading.Lock()
        # As they were understood, and without secrets: what opens an equal router.
        understood = msgspec.structs.replace(
            settings,
            primary=self._plan.configuration(),
            schemes={name: scheme.configuration() for name, scheme in self._schemes.items()},
        )
        super().__init__(self._primary.root, understood, runtime)

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> Router:
        assert isinstance(settings, RouterSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, reference: Reference) -> Mapping[str, Any]:
        raise InvalidKey(f"{reference} is no address: a router is opened by a configuration")

    @property
    def type(self) -> str:
        return "router"

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def primary(self) -> ObjectStore:
        """The store that keys belong to."""
        return self._primary

    def _behind(self) -> tuple[ObjectStore, ...]:
        return self.opened

    @property
    def opened(self) -> tuple[ObjectStore, ...]:
        """The stores that are open by now, the primary one first."""
        return tuple(self._opened.values())

    def find(self, ref: Reference) -> tuple[ObjectStore, Reference]:
        """The store that a reference leads to, and the reference as that store has it.

        Opens the store when nothing led to it before.

        Raises:
            InvalidKey: No store is known for its scheme, or its container is not one that was
                configured; says which setting allows it.
        """
        place = (ref.scheme, ref.container, ref.host)
        store = self._opened.get(place)
        if store is not None:
            return store, ref
        if ref.scheme not in {self._place[0], *self._schemes, *_AMBIENT}:
            self._check_fallback(ref)
            ref = Reference(self.root.scheme, ref.container, ref.key, self.root.host)
            place = _place(ref)
        with self._opening:
            if place not in self._opened:
                # Made anew, not changed: others read it without the lock.
                store = self._store_at(ref)
                self._opened = {**self._opened, place: store}
                self._ways = {**self._ways, place: way_into(store)}
            return self._opened[place], ref

    def _check_fallback(self, ref: Reference) -> None:
        if not self._falls_back:
            known = sorted({self.root.scheme, *self._schemes, *_AMBIENT})
            raise InvalidKey(
                f"{ref}: no store is known for {ref.scheme}://; known are {', '.join(known)}. "
                "Name one in the setting 'schemes'",
                reference=ref,
            )

    def _store_at(self, ref: Reference) -> ObjectStore:
        if ref.scheme == self._place[0]:
            return self._elsewhere(self._plan, self._primary, ref)
        scheme = self._schemes.get(ref.scheme)
        if scheme is None:
            found = plan_store(Reference(ref.scheme, ref.container, "", ref.host, ref.userinfo))
            return found.open(self.runtime, self._around)
        if scheme.container_is_open:
            return _moved(scheme.plan, ref).open(self.runtime, self._around)
        if scheme.store is None:
            scheme.store = scheme.plan.open(self.runtime, self._around)
        return self._elsewhere(scheme.plan, scheme.store, ref)

    def _elsewhere(self, plan: Plan, configured: ObjectStore, ref: Reference) -> ObjectStore:
        """The store of the container that a reference names, as another one was configured."""
        if _place(configured.root) == _place(ref):
            return configured
        if not self._multicontainer:
            raise InvalidKey(
                f"{ref}: the container configured for {ref.scheme}:// is "
                f"{configured.root.container!r}; the setting 'multicontainer' (in a DataStore's "
                "configuration: 'enable-multicontainer') allows others",
                reference=ref,
            )
        return _moved(plan, ref).open(self.runtime, self._around)

    def forward(self, call: Call[Any]) -> Any:
        if call.operation not in _MANY:
            ref = call.refs[0]
            # The most frequent case: nothing is opened, and nothing can fail.
            way = self._ways.get((ref.scheme, ref.container, ref.host))
            if way is not None:
                return way(call)
        return ask_at_once(self, call)

    # The contract

    async def put(self, ref: Reference, data: Data, options: WriteOptions) -> ObjectMeta:
        store, ref = self.find(ref)
        return await store.put(ref, data, options)

    async def upload(self, ref: Reference, options: WriteOptions, resume: str | None) -> Upload:
        store, ref = self.find(ref)
        return await store.upload(ref, options, resume)

    async def uploads(self, prefix: Reference, token: str | None) -> UploadPage:
        store, prefix = self.find(prefix)
        return await store.uploads(prefix, token)

    def get(self, ref: Reference, options: GetOptions) -> Coroutine[Any, Any, ObjectStream]:
        # As above, without a coroutine.
        store = self._opened.get((ref.scheme, ref.container, ref.host))
        return self._get(ref, options) if store is None else store.get(ref, options)

    async def _get(self, ref: Reference, options: GetOptions) -> ObjectStream:
        store, ref = self.find(ref)
        return await store.get(ref, options)

    async def head(self, ref: Reference, options: HeadOptions) -> ObjectMeta:
        store, ref = self.find(ref)
        return await store.head(ref, options)

    async def list(self, prefix: Reference, options: ListOptions) -> Page:
        store, prefix = self.find(prefix)
        return await store.list(prefix, options)

    async def delete(
        self, refs: Sequence[Reference], options: DeleteOptions
    ) -> Sequence[DeleteFailure]:
        groups: dict[ObjectStore, list[Reference]] = {}
        given: dict[Reference, Reference] = {}  # of those that were taken for others
        # All of them are found before anything is deleted.
        for asked in refs:
            store, ref = self.find(asked)
            groups.setdefault(store, []).append(ref)
            if ref is not asked:
                given[ref] = asked
        failures: list[DeleteFailure] = []
        for store, group in groups.items():
            try:
                failures += await store.delete(group, options)
            except HoldallError as error:
                if len(groups) == 1:
                    raise
                # What the other stores deleted is deleted, and must not pass for failed.
                failures += [DeleteFailure(ref, error) for ref in group]
        if not given:
            return failures
        return [DeleteFailure(given.get(one.ref, one.ref), one.error) for one in failures]

    async def copy(self, source: Reference, target: Reference, options: CopyOptions) -> ObjectMeta:
        source_store, source = self.find(source)
        target_store, target = self.find(target)
        if source_store is target_store:
            return await source_store.copy(source, target, options)
        return await copy_across(source_store, target_store, source, target, options)

    async def sign(self, ref: Reference, options: SignOptions) -> SignedUrl:
        store, ref = self.find(ref)
        return await store.sign(ref, options)

    async def remove_folder(self, prefix: Reference) -> None:
        store, prefix = self.find(prefix)
        await store.remove_folder(prefix)

    async def close(self) -> None:
        failed: HoldallError | None = None
        for store in self.opened:
            try:
                await store.close()
            except HoldallError as error:
                failed = failed or error
        if failed is not None:
            raise failed


class _Scheme:
    """What is configured for a scheme.

    Args:
        name: The scheme.
        given: Its configuration; `type` may be left out.
    """

    def __init__(self, name: str, given: Mapping[str, Any]) -> None:
        self._address = _address(store_class(name), Reference(name, "container"))
        self.container_is_open = not any(
            same_name(str(setting), known)
            for setting in given
            for known in {*self._address, "url", "path", "name"}
        )
        named = given if "url" in given else {"type": name, **given}
        # One whose container is not known yet is checked all the same.
        assumed = self._address if self.container_is_open else {}
        self.plan = plan_store(literal({**assumed, **named}))
        self.store: ObjectStore | None = None

    def configuration(self) -> dict[str, Any]:
        """What configures it again, without secrets."""
        plain = self.plan.configuration()
        if self.container_is_open:
            plain = {name: value for name, value in plain.items() if name not in self._address}
        return plain


def _place(ref: Reference) -> tuple[str, str, str]:
    return ref.scheme, ref.container, ref.host


def _address(kind: type[ObjectStore], ref: Reference) -> dict[str, Any]:
    """The settings that a container's address stands for, without secrets."""
    bare = Reference(ref.scheme, ref.container, "", ref.host)
    return {name: value for name, value in kind.settings_of(bare).items() if value}


def _moved(plan: Plan, ref: Reference) -> Plan:
    """The same service, settings and layers, and the whole of another container."""
    address = {"prefix": "", **_address(plan.kind, ref)}
    return msgspec.structs.replace(plan, settings=msgspec.structs.replace(plan.settings, **address))
