"""Config files, bases, templates and packages: what reading them gives."""
# ruff: noqa: F821  # the harness brings `write`

import os
import sys
import warnings

from mmengine.config import Config


def read(folder, main="main.py", /, *, args=None, **files):
    write(folder, **files)
    return Config.fromfile(str(folder / main), **(args or {})).to_dict()


# --------------------------------------------------------------------------- plain files and bases
def case_python(folder):
    return read(folder, main__py="a = 1\nb = dict(c=[1, (2,)], d=None)\n__hidden = 3\n")


def case_yaml(folder):
    return read(folder, "main.yaml", main__yaml="a: 1\nb: {c: [1, 2.5], d: null}\n")


def case_yaml_with_tuple(folder):
    return read(folder, "main.yml", main__yml="a: !!python/tuple [1, 2]\n")


def case_json(folder):
    return read(folder, "main.json", main__json='{"a": 1, "b": {"c": [1, true, null]}}')


def case_base_is_merged(folder):
    return read(
        folder,
        base__py="model = dict(type='A', head=dict(n=1, m=2))\nlr = 0.1\n",
        main__py="_base_ = './base.py'\nmodel = dict(head=dict(n=3))\nextra = 1\n",
    )


def case_base_list_and_nested_folders(folder):
    return read(
        folder,
        "sub/main.py",
        base_in_one__py="one = dict(a=1)\n",
        base_in_two__py="_base_ = ['../top.py']\ntwo = dict(top=2)\n",
        top__py="top = dict(x=dict(y=1))\n",
        sub_in_main__py="_base_ = ['../base/one.py', '../base/two.py']\ntop = dict(x=dict(z=2))\n",
    )


def case_base_is_absolute(folder):
    write(folder, base__py="a = 1\n")
    return read(folder, main__py=f"_base_ = {str(folder / 'base.py')!r}\nb = 2\n")


def case_base_is_an_expression(folder):
    return read(
        folder,
        base__py="a = 1\n",
        main__py="_base_ = [f'./{name}.py' for name in ['ba' + 'se']]\nb = 2\n",
    )


def case_bases_of_other_formats(folder):
    return read(
        folder,
        one__yaml="one: {a: 1}\n",
        two__json='{"two": {"b": [1]}}',
        main__py="_base_ = ['one.yaml', 'two.json']\none = dict(c=2)\n",
    )


def case_yaml_with_python_base(folder):
    return read(
        folder,
        "main.yaml",
        base__py="a = dict(t=(1, 2), x=1)\n",
        main__yaml="_base_: ./base.py\na: {x: 2}\nb: '{{ fileBasename }}'\nc: {{_base_.a.t}}\n",
    )


def case_json_with_base_variable(folder):
    return read(
        folder,
        "main.json",
        base__json='{"a": {"b": [1, 2]}}',
        main__json='{"_base_": "base.json", "c": {{_base_.a}}}',
    )


def case_delete(folder):
    return read(
        folder,
        base__py="model = dict(type='A', head=dict(n=1))\nopt = dict(a=1)\n",
        main__py="""\
            _base_ = 'base.py'
            model = dict(_delete_=True, type='B')
            opt = dict(_delete_=False, b=2)
            """,
    )


def case_delete_without_base_stays(folder):
    return read(
        folder,
        base__py="model = dict(a=dict(_delete_=True, x=1))\n",
        main__py="_base_ = 'base.py'\nmodel = dict(b=dict(_delete_=True, y=1), a=dict(z=1))\n",
    )


def case_duplicate_keys_among_bases(folder):
    return read(
        folder, a__py="x = 1\n", b__py="x = 2\n", main__py="_base_ = ['a.py', 'b.py']\nx = 3\n"
    )


def case_dict_over_value(folder):
    return read(folder, base__py="a = 1\n", main__py="_base_ = 'base.py'\na = dict(b=1)\n")


def case_value_over_dict(folder):
    return read(folder, base__py="a = dict(b=1)\n", main__py="_base_ = 'base.py'\na = None\n")


def case_list_replaces_list(folder):
    return read(
        folder, base__py="a = [dict(x=1), 2]\n", main__py="_base_ = 'base.py'\na = [dict(y=1)]\n"
    )


def case_functions_and_modules_are_left_out(folder):
    return read(
        folder,
        args={"lazy_import": False},  # else it depends on where Python is installed
        base__py="import os\nx = 1\n",
        main__py="""\
            _base_ = 'base.py'
            import os.path as osp
            from functools import partial
            def double(v):
                return [v * factor]
            factor = 2
            lr = double(3)
            join = partial(osp.join, 'a')('b')
            square = lambda v: v * v
            nested = dict(values=[square(v) for v in range(3)])
            """,
    )


def case_user_dict_classes_and_named_tuples(folder):
    return read(
        folder,
        args={"lazy_import": False},
        main__py="""\
            from collections import OrderedDict
            a = OrderedDict(x=OrderedDict(y=1))
            b = [OrderedDict(z=2)]
            c = {1, 2}
            d = {'in': 1, 2: 'two'}
            """,
    )


def case_one_object_twice_becomes_two(folder):
    write(folder, main__py="a = dict(x=1)\nb = dict(y=a)\nc = [a, a]\n")
    cfg = Config.fromfile(str(folder / "main.py"))
    cfg.a.x = 2
    cfg.c[0].x = 3
    return cfg.to_dict()


def case_base_variable_stays_one_object(folder):
    write(
        folder,
        base__py="a = dict(x=1)\np = [dict(q=1)]\n",
        main__py="_base_ = 'base.py'\nb = dict(y={{_base_.a}}, p={{_base_.p}})\n",
    )
    cfg = Config.fromfile(str(folder / "main.py"))
    cfg.a.x = 2
    cfg.p[0].q = 5
    cfg.p.append(3)
    return cfg.to_dict()


def case_text_filename_and_env(folder):
    write(folder, base__py="a = 1\n", main__py="_base_ = 'base.py'\n# äö\nb = '{{$MM_X:1}}'\n")
    os.environ["MM_X"] = "7"
    try:
        cfg = Config.fromfile(folder / "main.py")
    finally:
        del os.environ["MM_X"]
    return [cfg.text, cfg.filename, cfg.env_variables, cfg.to_dict()]


def case_missing_file(folder):
    return read(folder)


def case_missing_base(folder):
    return read(folder, main__py="_base_ = 'base.py'\n")


def case_wrong_suffix(folder):
    return read(folder, "main.txt", main__txt="a = 1")


def case_wrong_suffix_of_base(folder):
    return read(folder, base__txt="a = 1", main__py="_base_ = 'base.txt'\n")


def case_syntax_error(folder):
    return read(folder, main__py="a = 1\nb = = 2\n")


def case_reserved_key(folder):
    return read(folder, main__py="filename = 1\n")


def case_unknown_name(folder):
    return read(folder, main__py="a = 1\nb = c\n")


def case_unknown_package(folder):
    return read(folder, main__py="_base_ = 'mmwhatever::a/b.py'\n")


def case_package_not_installed(folder):
    return read(folder, main__py="_base_ = 'mmyolo::a/b.py'\n")


# --------------------------------------------------------------------------------------- templates
TEMPLATES = """\
    a = '{{ fileDirname }}|{{fileBasename}}|{{  fileBasenameNoExtension}}|{{fileExtname }}'
    b = ['{{$MM_UNSET:one}}', {{'$MM_UNSET:2'}}, "{{ $MM_UNSET : 3 }}", {{"$MM_UNSET:-.5"}}]
    c = '{{ other }}'
    """


def case_predefined_and_environment(folder):
    return read(folder, main__py=TEMPLATES)


def case_environment_is_set(folder):
    os.environ["MM_UNSET"] = "11"
    try:
        return read(folder, main__py=TEMPLATES)
    finally:
        del os.environ["MM_UNSET"]


def case_templates_switched_off(folder):
    off = {"use_predefined_variables": False, "use_environment_variables": False}
    return read(folder, args=off, main__py="a = '{{ fileDirname }}'\nb = '{{$MM_UNSET:1}}'\n")


def case_environment_without_default(folder):
    return read(folder, main__py="a = '{{$MM_UNSET:}}'\n")


def case_environment_default_with_brackets(folder):
    return read(folder, main__py="a = {{'$MM_UNSET:[4,(5,)]'}}\n")


def case_base_variable_within_a_string(folder):
    text = "_base_ = 'base.py'\na = '{{_base_.root}}train'\n"
    return read(folder, base__py="root = 'data/'\n", main__py=text)


def case_same_variable_two_defaults(folder):
    return read(folder, main__py="a = '{{$MM_UNSET:x}}'\nb = '{{$MM_UNSET:y}}'\n")


BASE = """\
    a = dict(b=dict(c=[1, (2, 3)], d='x'), n=5)
    root = 'data/'
    pipeline = [dict(type='A', s=1), dict(type='B')]
    """


def case_base_variables(folder):
    return read(
        folder,
        base__py=BASE,
        main__py="""\
            _base_ = './base.py'
            e = {{_base_.a.b}}
            f = [{{ _base_.a.b.c }}, ({{_base_.a.n}},)]
            # {{_base_.not_there}}
            g = dict(h={{_base_.root}}, i=[dict(j={{_base_.pipeline}})])
            a = dict(b=dict(d='y'))
            """,
    )


def case_base_as_object(folder):
    return read(
        folder,
        base__py=BASE,
        main__py="""\
            _base_ = './base.py'
            train = f'{_base_.root}/train'
            steps = [dict(t=step['type']) for step in _base_.pipeline]
            first = _base_['pipeline'][0]
            def twice():
                return _base_.a.n * 2
            n = twice()
            _base_.pipeline[1]['changed'] = True
            _base_.pipeline.insert(0, dict(type='C'))
            first.update(s=2)
            own = _base_.a.b
            own.d = 'changed in base too'
            popped = _base_.a.pop('n')
            """,
    )


def case_missing_base_variable(folder):
    return read(folder, base__py=BASE, main__py="_base_ = 'base.py'\nx = {{_base_.a.nope}}\n")


def case_missing_base_attribute(folder):
    return read(folder, base__py=BASE, main__py="_base_ = 'base.py'\nx = _base_.a.nope\n")


def case_deprecation(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = read(
            folder,
            base__py="_deprecation_ = dict(expected='new.py', reference='http://x')\na = 1\n",
            main__py="_base_ = 'base.py'\n_deprecation_ = dict()\nb = 1\n",
        )
    texts = [(w.category.__name__, str(w.message)) for w in caught]
    return [values, [text for text in texts if "deprecated in the future" in text[1]]]


# ---------------------------------------------------------------------------------- other packages
def package(folder, name, **files):
    write(folder / name, **files)
    (folder / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / name / ".mim").mkdir(exist_ok=True)
    (folder / name / ".mim" / "model-index.yml").write_text("Import: []\n")
    os.rename(folder / name / "configs", folder / name / ".mim" / "configs")
    sys.path.insert(0, str(folder))


def case_scope_of_another_package(folder):
    package(
        folder,
        "mmpose",
        configs_in_a_in_base__py="""\
            model = dict(type='A', neck=dict(type='N'), plain=dict(x=dict(type='P')))
            plain = dict(deep=[dict(type='D', e=dict(type='E')), dict(type='F', _scope_='own')])
            """,
        configs_in_a_in_top__py="_base_ = './base.py'\nlr = 1\n",
    )
    try:
        write(folder, main__py="_base_ = ['mmpose::a/top.py']\nmodel = dict(neck=dict(k=2))\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = Config.fromfile(str(folder / "main.py")).to_dict()
        return [values, "mmpose" in sys.modules]
    finally:
        sys.path.remove(str(folder))
