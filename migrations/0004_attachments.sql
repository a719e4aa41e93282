-- What is attached to mails: text files, each in one row. As in 0001: one text for every database.

-- part counts from 0. content is emptied when the server has taken the mail: what it told is in other tables still;
-- file_name and size_bytes stay.
CREATE TABLE mail_attachments (
    mail_id VARCHAR(36) NOT NULL,
    part BIGINT NOT NULL,
    file_name TEXT NOT NULL,
    size_bytes BIGINT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (mail_id, part),
    FOREIGN KEY (mail_id) REFERENCES mails (id) ON DELETE CASCADE
);
/*! ALTER TABLE mail_attachments MODIFY content MEDIUMTEXT NOT NULL */;
