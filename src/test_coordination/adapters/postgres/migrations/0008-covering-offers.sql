-- compatible-from: 7
-- Whether a worker that offers some words has all that is required. A word is offered as it is;
-- what may be called of Python is offered as well with a package that it is in, or with all.
CREATE FUNCTION covers(offers text[], requires text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN offers @> requires OR (
    offers IS NOT NULL AND NOT EXISTS (
        SELECT FROM unnest(requires) AS required (word)
        WHERE required.word <> ALL (offers) AND NOT EXISTS (
            SELECT FROM unnest(offers) AS offered (word)
            WHERE starts_with(required.word, 'python ') AND (
                offered.word = 'python *'
                OR starts_with(offered.word, 'python ')
                AND starts_with(required.word, offered.word || '.')
            )
        )
    )
);
